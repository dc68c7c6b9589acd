"""Scores with exports that were compiled ahead of time."""

from __future__ import annotations

import os
from pathlib import Path

from recinfer.data.parser import Tensors
from recinfer.predict.compiled import CompiledPackage
from recinfer.predict.compiled_inputs import INTERFACE, Interface, read_interface
from recinfer.predict.device import CPU, Place, allow_tf32
from recinfer.predict.export_scorer import ExportedModel, load_scripted, require
from recinfer.predict.id_check import refuse_outside
from recinfer.predict.operators import load_operators
from recinfer.predict.row_parts import in_parts, rows_of

SPARSE = "scripted_sparse_model.pt"
COMPILED = "aoti_model.pt2"
# More runs at once than threads would ever score.
MOST_RUNS = max(16, 2 * (os.cpu_count() or 1))
# On a GPU each of them loads all kernels when it first runs, and further threads have nothing to gain by running now.
MOST_RUNS_ON_GPU = 4


class CompiledScorer(ExportedModel):
    """An export of kind ``aot``: scripted lookups on the CPU, and a compiled dense part on its device.

    Args:
        folder: holds ``scripted_sparse_model.pt``, ``aoti_model.pt2``, ``compiled.json`` and ``pipeline.config``.
        fingerprint: of the export.
        device: that the dense part was compiled for.

    Raises:
        ModelError: the folder is no such export, or does not load.
    """

    def _open(self, folder: Path) -> None:
        self._sparse = load_scripted(require(folder, SPARSE))
        self._compiled = Compiled(folder, self.place)

    def run(self, tensors: Tensors) -> Tensors:
        """Scores one chunk without the interpreter's lock; a batch larger than the model takes is scored in parts."""
        rows, most = rows_of(tensors, self.features), self._compiled.interface.most_rows
        if most is not None and rows > most:
            return in_parts(self.run, tensors, rows, most)
        self.lengths.refuse_misfits(tensors)
        return self.per_user(tensors, self._score)

    def _score(self, tensors: Tensors) -> Tensors:
        return self._compiled.run(self._sparse(tensors, CPU))


class UnifiedScorer(ExportedModel):
    """An export of kind ``aot-unified``: one compiled library, which takes the batch as it is.

    Args:
        folder: holds ``aoti_model.pt2``, ``compiled.json`` and ``pipeline.config``.
        fingerprint: of the export.
        device: that it was compiled for.

    Raises:
        ModelError: the folder is no such export, or does not load.
    """

    def _open(self, folder: Path) -> None:
        # The library has them called by name.
        load_operators()
        self._compiled = Compiled(folder, self.place)

    def run(self, tensors: Tensors) -> Tensors:
        """Scores one chunk without the interpreter's lock; a batch larger than the model takes is scored in parts."""
        rows, most = rows_of(tensors, self.features), self._compiled.interface.most_rows
        if most is not None and rows > most:
            return in_parts(self.run, tensors, rows, most)
        # Machine code looks at lengths no more than at anything else.
        self.lengths.refuse_misfits(tensors)
        if self.place.device.type == "cuda":
            refuse_outside(tensors, self.features)
        return self._compiled.run(tensors)


class Compiled:
    """The compiled model of a folder, and what it takes.

    Args:
        folder: holds ``aoti_model.pt2`` and ``compiled.json``.
        place: that it runs at.
    """

    def __init__(self, folder: Path, place: Place) -> None:
        self.interface: Interface = read_interface(require(folder, INTERFACE))
        self._place = place
        if place.device.type == "cuda":
            allow_tf32(folder)
        runs = MOST_RUNS if place.device.type == "cpu" else MOST_RUNS_ON_GPU
        self._model = CompiledPackage(require(folder, COMPILED), runs, place.device)
        self._model.check_counts(len(self.interface.inputs), len(self.interface.outputs))

    def run(self, tensors: Tensors) -> Tensors:
        """Scores one chunk: tensors of the CPU in any order, checked before the call."""
        return self._place.run(tensors, self._score)

    def _score(self, tensors: Tensors) -> Tensors:
        scores = self._model.run(self.interface.arrange(tensors))
        return dict(zip(self.interface.outputs, scores, strict=True))
