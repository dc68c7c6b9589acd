"""Metrics shown while training: of the last steps, smoothed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torchmetrics.classification import BinaryAUROC

from recinfer.data.parser import Tensors
from recinfer.errors import ConfigError
from recinfer.models.base import Task
from recinfer.train.batches import Batch
from recinfer.train.metrics import NamedMetric, build_metric


class SmoothedMetric:
    """A metric of windows of ``decay_step`` batches, averaged with weights that fall by ``decay_rate`` a window.

    Of an AUC the counts of each window are averaged rather than its value, as in TorchEasyRec, so that windows with a
    single label count too.

    Args:
        metric: what is measured in each window.
        decay_rate: weight of what was before; the newest window weighs 1 minus it.
        decay_step: batches of a window.
    """

    def __init__(self, metric: NamedMetric, decay_rate: float, decay_step: int) -> None:
        self.metric, self.decay_rate, self.decay_step = metric, decay_rate, max(decay_step, 1)
        self._batches = 0
        # A number, or the counts of an AUC.
        self._average: Any = None

    def update(self, predictions: Tensors, batch: Batch) -> None:
        """Adds a batch."""
        self.metric.update(predictions, batch)
        self._batches += 1
        if self._batches < self.decay_step:
            return
        window = self._window()
        self.metric.metric.reset()
        self._batches = 0
        if window is not None:
            old = window if self._average is None else self._average
            self._average = self.decay_rate * old + (1 - self.decay_rate) * window

    def compute(self) -> float | None:
        """The smoothed value, or None where there is none yet."""
        if not isinstance(self._average, torch.Tensor):
            value: float | None = self._average
            return value
        area = area_of_counts(self._average)
        return None if math.isnan(area) else area

    def _window(self) -> Any:
        """What is averaged, of the window that ends; None where it has nothing."""
        if isinstance(self.metric.metric, BinaryAUROC):
            counts = self.metric.metric.confmat.double()
            return counts if bool(counts.any()) else None
        value = self.metric.compute()
        return None if math.isnan(value) else value


def area_of_counts(counts: torch.Tensor) -> float:
    """The AUC of counts by rising thresholds, [T, 2, 2]: label, and whether the score reaches the threshold.

    NaN where a label is missing.
    """
    positives, negatives = counts[:, 1].sum(dim=1), counts[:, 0].sum(dim=1)
    return float(-torch.trapezoid(counts[:, 1, 1] / positives, counts[:, 0, 1] / negatives))


class TrainMetrics:
    """The ``train_metrics`` of all tasks, over the rows of this rank.

    Raises:
        ConfigError: a metric does not run here, or does not fit its task.
    """

    def __init__(self, tasks: Sequence[Task], device: torch.device | None = None) -> None:
        self.metrics = [_smoothed(config, task, device) for task in tasks for config in task.train_metrics]

    def update(self, predictions: Tensors, batch: Batch) -> None:
        """Adds a batch's predictions."""
        for metric in self.metrics:
            metric.update(predictions, batch)

    def compute(self) -> dict[str, float]:
        """Every metric that has a value, by name."""
        values = {metric.metric.name: metric.compute() for metric in self.metrics}
        return {name: value for name, value in values.items() if value is not None}


def _smoothed(config: Any, task: Task, device: torch.device | None) -> SmoothedMetric:
    metric = build_metric(config, task, device)
    if not 0 <= config.decay_rate <= 1:
        raise ConfigError(
            f"train metric {metric.name!r} has the decay_rate {config.decay_rate:g}", "set it to 0 up to 1"
        )
    return SmoothedMetric(metric, config.decay_rate, config.decay_step)
