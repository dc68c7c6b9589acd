"""Scores with an export of two parts: scripted lookups on the CPU, and a dense part that TensorRT runs on the GPU."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import torch

from recinfer.data.parser import Tensors
from recinfer.errors import ModelError
from recinfer.predict.compiled_inputs import INTERFACE, read_interface
from recinfer.predict.compiled_scorer import SPARSE
from recinfer.predict.device import CPU, allow_tf32
from recinfer.predict.export_scorer import ExportedModel, load_scripted, require
from recinfer.predict.row_parts import filled_up, in_parts, rows_of
from recinfer.predict.tensorrt_runtime import load_engines

ENGINE = "trt_model.pt2"
# What a batch is filled up with: enough for the least of every size.
FILLING_ROWS, FILLING_STEPS = 2, 2


class TensorRTScorer(ExportedModel):
    """An export of kind ``trt``.

    Args:
        folder: holds ``scripted_sparse_model.pt``, ``trt_model.pt2``, ``compiled.json`` and ``pipeline.config``.
        fingerprint: of the export.
        device: a GPU.

    Attributes:
        load: reads the dense part.

    Raises:
        ModelError: the folder is no such export, does not load, or there is no GPU or no torch-tensorrt.
    """

    load: Callable[[Path], torch.export.ExportedProgram] = staticmethod(load_engines)

    def _open(self, folder: Path) -> None:
        self._sparse = load_scripted(require(folder, SPARSE))
        self._interface = read_interface(require(folder, INTERFACE))
        if self.place.device.type == "cuda":
            allow_tf32(folder)
        self._dense = load_program(require(folder, ENGINE), self.load)
        # An engine has one context to run in.
        self._lock = threading.Lock()

    def run(self, tensors: Tensors) -> Tensors:
        """Scores one chunk: one with more rows or steps than the engine takes in parts, one with fewer filled up."""
        rows = rows_of(tensors, self.features)
        most = (self._interface.most_rows or rows + FILLING_ROWS) - FILLING_ROWS
        if rows > most:
            return in_parts(self.run, tensors, rows, most)
        inputs = self._interface.arrange(self._sparse(tensors, CPU))
        sizes = self._interface.sizes_of(inputs)
        if any(sizes[name] < least for name, (least, _) in self._interface.sizes.items()):
            filled = filled_up(tensors, self.features, FILLING_ROWS, FILLING_STEPS)
            inputs = self._interface.arrange(self._sparse(filled, CPU))
            sizes = self._interface.sizes_of(inputs)
        large = [name for name, (_, largest) in self._interface.sizes.items() if sizes[name] > largest]
        if large and rows > 1:
            return in_parts(self.run, tensors, rows, (rows + 1) // 2)
        if large:
            raise ModelError(
                f"a row has more steps than {self.folder} takes, which is {self._interface.sizes[large[0]][1]}",
                "export again with a larger --trt-max-seq-len",
            )
        return {name: scores[:rows] for name, scores in self._run_dense(inputs).items()}

    def _run_dense(self, inputs: list[torch.Tensor]) -> Tensors:
        names = [each.name for each in self._interface.inputs]
        with self._lock:
            return self.place.run(dict(zip(names, inputs, strict=True)), self._score)

    def _score(self, inputs: Tensors) -> Tensors:
        return dict(zip(self._interface.outputs, self._dense(*inputs.values()), strict=True))


def load_program(
    path: Path, load: Callable[[Path], torch.export.ExportedProgram]
) -> Callable[..., tuple[torch.Tensor, ...]]:
    """Loads what was exported.

    Raises:
        ModelError: the file is no such program, or calls operators that are not here.
    """
    try:
        return load(path).module()
    except ModelError:
        raise
    except Exception as error:
        # Whatever its parts raise: archives, JSON, engines of another version of TensorRT.
        said = str(error).strip().splitlines()
        raise ModelError(
            f"{path} does not load: {said[0] if said else repr(error)}", "export the model again"
        ) from error
