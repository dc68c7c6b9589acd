"""Metrics shown while training: of the last steps, smoothed."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from recinfer.data.parser import Tensors
from recinfer.models.base import Task
from recinfer.train.batches import Batch
from recinfer.train.metrics import NamedMetric, build_metric


class SmoothedMetric:
    """A metric of windows of ``decay_step`` batches, averaged with weights that fall by ``decay_rate`` a window.

    Args:
        metric: what is measured in each window.
        decay_rate: weight of what was before; the newest window weighs 1 minus it.
        decay_step: batches of a window.
    """

    def __init__(self, metric: NamedMetric, decay_rate: float, decay_step: int) -> None:
        self.metric, self.decay_rate, self.decay_step = metric, decay_rate, max(decay_step, 1)
        self._batches = 0
        self._value: float | None = None

    def update(self, predictions: Tensors, batch: Batch) -> None:
        """Adds a batch."""
        self.metric.update(predictions, batch)
        self._batches += 1
        if self._batches < self.decay_step:
            return
        window = self.metric.compute()
        self.metric.metric.reset()
        self._batches = 0
        if window == window:
            old = window if self._value is None else self._value
            self._value = self.decay_rate * old + (1 - self.decay_rate) * window

    def compute(self) -> float | None:
        """The smoothed value, or None before the first whole window."""
        return self._value


class TrainMetrics:
    """The ``train_metrics`` of all tasks.

    Raises:
        ConfigError: a metric does not run here, or does not fit its task.
    """

    def __init__(self, tasks: Sequence[Task], device: torch.device | None = None) -> None:
        self.metrics = [
            SmoothedMetric(build_metric(config, task, device), config.decay_rate, config.decay_step)
            for task in tasks
            for config in task.train_metrics
        ]

    def update(self, predictions: Tensors, batch: Batch) -> None:
        """Adds a batch's predictions."""
        for metric in self.metrics:
            metric.update(predictions, batch)

    def compute(self) -> dict[str, float]:
        """Every metric that has a value, by name."""
        values = {metric.metric.name: metric.compute() for metric in self.metrics}
        return {name: value for name, value in values.items() if value is not None}
