"""The metrics that a config asks for, over the predictions of all its tasks."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torchmetrics.classification import BinaryAccuracy, BinaryAUROC, MulticlassAccuracy, MulticlassAUROC
from torchmetrics.regression import MeanAbsoluteError, MeanSquaredError

from recinfer.config.task_fit import GROUPED, REGRESSION, TWO_CLASS, metric_misfit, metric_name, metric_option_misfit
from recinfer.data.parser import Tensors
from recinfer.distributed.team import Team
from recinfer.errors import ConfigError
from recinfer.models.base import Task
from recinfer.train.batches import Batch
from recinfer.train.pair_metrics import XAUC, GroupedXAUC
from recinfer.train.ranking_metrics import GroupedAUC, NormalizedEntropy, RecallAtK
from recinfer.train.task_columns import grouping_columns, rows_of

__all__ = ["Metrics", "NamedMetric", "build_metric", "grouping_columns"]


@dataclass(frozen=True)
class NamedMetric:
    """One metric of one task.

    Attributes:
        name: ``auc``, or ``auc_<task>``.
        score: key of the prediction that it judges.
        label: label column.
        group: grouping column, "" for none.
        whole_labels: whether labels are classes instead of amounts.
        task: what it is about.
        metric: a torchmetrics one, or one of :mod:`recinfer.train.ranking_metrics` or ``pair_metrics``.
    """

    name: str
    score: str
    label: str
    group: str
    whole_labels: bool
    task: Task
    metric: Any

    def update(self, predictions: Tensors, batch: Batch) -> None:
        """Adds a batch."""
        self.add(self.arguments(predictions, batch))

    def arguments(self, predictions: Tensors, batch: Batch) -> list[torch.Tensor]:
        """What the metric takes of a batch: scores, labels, and group codes where it groups."""
        label = batch.labels[self.label]
        arguments = [predictions[self.score].detach().float(), label.long() if self.whole_labels else label.float()]
        if self.group:
            arguments.append(batch.groups[self.group])
        rows = rows_of(self.task, batch.labels)
        if rows is not None:
            arguments = [argument[rows] for argument in arguments]
        return arguments

    def add(self, arguments: Sequence[torch.Tensor]) -> None:
        """Adds what :meth:`arguments` gave."""
        if len(arguments[0]):
            self.metric.update(*arguments)

    def compute(self) -> float:
        """The value so far; NaN where it is not defined, as AUC is not with a single label."""
        if not _is_defined(self.metric):
            return math.nan
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(self.metric.compute())


class Metrics:
    """All metrics of all tasks, over the rows of all ranks.

    Args:
        tasks: of the model.
        device: where predictions are.
        team: the ranks that measure together, each its own rows; None for one.

    Raises:
        ConfigError: a metric does not run here, or does not fit its task.
    """

    def __init__(self, tasks: Sequence[Task], device: torch.device | None = None, team: Team | None = None) -> None:
        self._team = team if team is not None and team.size > 1 else None
        # Rank 0 measures for all, in memory of the host.
        place = device if self._team is None else None
        self.metrics = [build_metric(config, task, place) for task in tasks for config in task.metrics]

    def update(self, predictions: Tensors, batch: Batch) -> None:
        """Adds a batch's predictions."""
        found = [metric.arguments(predictions, batch) for metric in self.metrics]
        if self._team is None:
            self._add(found)
            return
        for arguments in self._team.gather([[each.cpu() for each in arguments] for arguments in found]) or ():
            self._add(arguments)

    def _add(self, found: Sequence[Sequence[torch.Tensor]]) -> None:
        for metric, arguments in zip(self.metrics, found, strict=True):
            metric.add(arguments)

    def compute(self) -> dict[str, float]:
        """Every metric by name, the same on all ranks."""
        if self._team is None or self._team.leads:
            values = {metric.name: metric.compute() for metric in self.metrics}
        else:
            values = {}
        return values if self._team is None else self._team.tell(values)


def build_metric(config: Any, task: Task, device: torch.device | None = None) -> NamedMetric:
    """The metric of a ``MetricConfig`` or ``TrainMetricConfig`` message.

    Raises:
        ConfigError: it does not run here, or does not fit the task.
    """
    kind = config.WhichOneof("metric")
    where = f"tower {task.name!r}" if task.name else "model_config"
    grouping_key = getattr(getattr(config, kind), "grouping_key", "") if kind else ""
    misfit = metric_misfit(kind, task.num_class, task.loss_kinds, grouping_key)
    misfit = misfit or metric_option_misfit(kind, getattr(config, kind), task.num_class)
    if misfit is not None:
        raise ConfigError(f"{misfit[0]}: {where}", misfit[1])
    message = getattr(config, kind)
    regression = "l2_loss" in task.loss_kinds
    metric = _BUILDERS[kind](message, task.num_class)
    return NamedMetric(
        name=f"{metric_name(kind, message)}{task.suffix}",
        score=_score(kind, task.num_class, regression) + task.suffix,
        label=task.label,
        group=message.grouping_key if kind in GROUPED else "",
        whole_labels=kind not in REGRESSION,
        task=task,
        metric=metric.to(device) if device is not None and isinstance(metric, torch.nn.Module) else metric,
    )


def _score(kind: str, num_class: int, regression: bool) -> str:
    if regression:
        return "y"
    return "probs1" if kind in TWO_CLASS and num_class == 2 else "probs"


# Left alone, torchmetrics would ask all ranks of a process group for what they have seen whenever one wants to know.
_ALONE: dict[str, Any] = {"sync_on_compute": False}


def _accuracy(message: Any, num_class: int) -> Any:
    if num_class == 1:
        return BinaryAccuracy(threshold=message.threshold, validate_args=False, **_ALONE)
    return MulticlassAccuracy(num_class, top_k=message.top_k, average="micro", validate_args=False, **_ALONE)


_BUILDERS: dict[str, Callable[[Any, int], Any]] = {
    "auc": lambda message, _: BinaryAUROC(thresholds=message.thresholds, validate_args=False, **_ALONE),
    "multiclass_auc": lambda message, num_class: MulticlassAUROC(
        num_class, average=message.average, thresholds=message.thresholds, validate_args=False, **_ALONE
    ),
    "grouped_auc": lambda message, _: GroupedAUC(),
    "accuracy": _accuracy,
    "mean_absolute_error": lambda message, _: MeanAbsoluteError(**_ALONE),
    "mean_squared_error": lambda message, _: MeanSquaredError(**_ALONE),
    "xauc": lambda message, _: XAUC(message.in_batch),
    "grouped_xauc": lambda message, _: GroupedXAUC(),
    "recall_at_k": lambda message, _: RecallAtK(message.top_k),
    "normalized_entropy": lambda message, _: NormalizedEntropy(message.eta),
}


def _is_defined(metric: Any) -> bool:
    """Whether a metric has seen what it needs: any row, and for a binary AUC both labels."""
    if not isinstance(metric, torch.nn.Module):
        return True
    if not getattr(metric, "update_called", True):
        return False
    if isinstance(metric, BinaryAUROC):
        counts = metric.confmat[0].sum(dim=1)  # [2]: rows of label 0, rows of label 1
        return bool((counts > 0).all())
    return True
