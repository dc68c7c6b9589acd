"""The columns that tasks name, and the rows that they are about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from recinfer.config.task_fit import GROUPED
from recinfer.data.parser import Tensors
from recinfer.models.base import Task


def label_columns(tasks: Sequence[Task]) -> tuple[str, ...]:
    """The label columns that losses and metrics of the tasks read."""
    names = [name for task in tasks for name in (task.label, task.task_space)]
    names += [task.only_where[0] for task in tasks if task.only_where is not None]
    return _distinct(names)


def grouping_columns(tasks: Sequence[Task]) -> tuple[str, ...]:
    """The columns that the tasks' metrics and losses group by: users of a grouped AUC, sessions of a JRC loss."""
    metrics = [config for task in tasks for config in (*task.metrics, *task.train_metrics)]
    kinds = [(config, config.WhichOneof("metric")) for config in metrics]
    keys = [getattr(config, kind).grouping_key for config, kind in kinds if kind in GROUPED]
    losses = [loss for task in tasks for loss in task.losses]
    keys += [loss.jrc_loss.session_name for loss in losses if loss.WhichOneof("loss") == "jrc_loss"]
    return _distinct(keys)


def rows_of(task: Task, labels: Tensors) -> torch.Tensor | None:
    """Which rows the task is about, bool [B]; None for all of them."""
    if task.only_where is None:
        return None
    column, value = task.only_where
    return labels[column] == value


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))
