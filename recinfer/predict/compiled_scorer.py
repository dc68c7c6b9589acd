"""Scores with exports that were compiled ahead of time."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from recinfer.data.parser import Tensors
from recinfer.predict.compiled import CompiledPackage
from recinfer.predict.compiled_inputs import INTERFACE, Interface, read_interface
from recinfer.predict.export_scorer import ExportedModel, load_scripted, require
from recinfer.predict.row_parts import in_parts, rows_of

SPARSE = "scripted_sparse_model.pt"
COMPILED = "aoti_model.pt2"
# More runs at once than threads would ever score.
MOST_RUNS = max(16, 2 * (os.cpu_count() or 1))


class CompiledScorer(ExportedModel):
    """An export of kind ``aot``.

    Args:
        folder: holds ``scripted_sparse_model.pt``, ``aoti_model.pt2``, ``compiled.json`` and ``pipeline.config``.
        fingerprint: of the export.

    Raises:
        ModelError: the folder is no such export, or does not load.
    """

    def _open(self, folder: Path) -> None:
        self._sparse = load_scripted(require(folder, SPARSE))
        self._interface, self._dense = open_compiled(folder)
        self._device = torch.device("cpu")

    def run(self, tensors: Tensors) -> Tensors:
        """Scores one chunk without the interpreter's lock; a batch larger than the model takes is scored in parts."""
        rows, most = rows_of(tensors, self.features), self._interface.most_rows
        if most is not None and rows > most:
            return in_parts(self.run, tensors, rows, most)
        return self.per_user(tensors, self._score)

    def _score(self, tensors: Tensors) -> Tensors:
        looked_up = self._sparse(tensors, self._device)
        scores = self._dense.run(self._interface.arrange(looked_up))
        return dict(zip(self._interface.outputs, scores, strict=True))


class UnifiedScorer(ExportedModel):
    """An export of kind ``aot-unified``: one compiled library, which takes the batch as it is.

    Args:
        folder: holds ``aoti_model.pt2``, ``compiled.json`` and ``pipeline.config``.
        fingerprint: of the export.

    Raises:
        ModelError: the folder is no such export, or does not load.
    """

    def _open(self, folder: Path) -> None:
        self._interface, self._model = open_compiled(folder)

    def run(self, tensors: Tensors) -> Tensors:
        """Scores one chunk without the interpreter's lock."""
        scores = self._model.run(self._interface.arrange(tensors))
        return dict(zip(self._interface.outputs, scores, strict=True))


def open_compiled(folder: Path) -> tuple[Interface, CompiledPackage]:
    """The compiled model of a folder, and what it takes."""
    interface = read_interface(require(folder, INTERFACE))
    model = CompiledPackage(require(folder, COMPILED), MOST_RUNS)
    model.check_counts(len(interface.inputs), len(interface.outputs))
    return interface, model
