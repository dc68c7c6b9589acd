"""TensorBoard scalars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class Summaries:
    """Writes the scalars that the config asks for; nothing if it asks for none.

    Args:
        folder: where TensorBoard looks.
        wanted: of ``loss`` and ``learning_rate``.
        step: where training (re)starts; later points of an earlier, cut-off run are dropped.
    """

    def __init__(self, folder: Path, wanted: Sequence[str], step: int) -> None:
        self._wanted = frozenset(wanted)
        self._writer: Any = None
        if wanted:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder), purge_step=step + 1)  # type: ignore[no-untyped-call]

    def step(self, step: int, losses: Mapping[str, float], rates: Mapping[str, float]) -> None:
        """Adds the losses and learning rates of a step."""
        if "loss" in self._wanted:
            self._add("loss", losses, step)
        if "learning_rate" in self._wanted:
            self._add("lr", rates, step)

    def metrics(self, step: int, metrics: Mapping[str, float], part: str) -> None:
        """Adds metrics under ``part``, ``train`` or ``eval``."""
        self._add(f"metric/{part}", metrics, step)

    def close(self) -> None:
        """Writes what is left."""
        if self._writer is not None:
            self._writer.close()

    def _add(self, prefix: str, values: Mapping[str, float], step: int) -> None:
        if self._writer is None:
            return
        for name, value in values.items():
            self._writer.add_scalar(f"{prefix}/{name}", value, step)
