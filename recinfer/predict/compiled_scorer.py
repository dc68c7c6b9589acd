"""Scores with an export of two parts: scripted lookups, and a dense part that was compiled ahead of time."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from recinfer.data.parser import Tensors
from recinfer.predict.compiled import CompiledPackage
from recinfer.predict.compiled_inputs import INTERFACE, read_interface
from recinfer.predict.export_scorer import ExportedModel, load_scripted, require

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
        self._interface = read_interface(require(folder, INTERFACE))
        self._dense = CompiledPackage(require(folder, COMPILED), MOST_RUNS)
        self._dense.check_counts(len(self._interface.inputs), len(self._interface.outputs))
        self._device = torch.device("cpu")

    def run(self, tensors: Tensors) -> Tensors:
        """Scores one chunk; both parts run without the interpreter's lock."""
        looked_up = self._sparse(tensors, self._device)
        scores = self._dense.run(self._interface.arrange(looked_up))
        return dict(zip(self._interface.outputs, scores, strict=True))
