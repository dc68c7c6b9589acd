"""What TensorBoard gets in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recinfer.train.learner import Learner
from recinfer.train.parameter_summaries import OF_GRADIENTS, GradientSummaries, add_parameters


class Summaries:
    """Writes the scalars and histograms that the config asks for; nothing if it asks for none.

    Args:
        folder: where TensorBoard looks.
        wanted: of :data:`~recinfer.train.settings.SUMMARIES`.
        step: where training (re)starts; later points of an earlier, cut-off run are dropped.
    """

    def __init__(self, folder: Path, wanted: Sequence[str], step: int) -> None:
        self._wanted = frozenset(wanted)
        self._writer: Any = None
        self._learner: Learner | None = None
        self._gradients: GradientSummaries | None = None
        if wanted:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder), purge_step=step + 1)  # type: ignore[no-untyped-call]

    def watch(self, learner: Learner) -> None:
        """Names the learner whose parameters and gradients are meant."""
        if self._writer is None:
            return
        if "parameter" in self._wanted:
            self._learner = learner
        of_gradients = OF_GRADIENTS & self._wanted
        if of_gradients and learner.dense:
            first = learner.dense[0].optimizer
            self._gradients = GradientSummaries(self._writer, of_gradients, learner.parameters, first)

    def expect(self, step: int) -> None:
        """Asks for the gradients of this step; before its backward pass."""
        if self._gradients is not None:
            self._gradients.expect(step)

    def step(self, step: int, losses: Mapping[str, float], rates: Mapping[str, float]) -> None:
        """Adds the losses, learning rates and parameters after a step."""
        if self._learner is not None:
            add_parameters(self._writer, self._learner.module, step)
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
