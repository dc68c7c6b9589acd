"""AUC of both sides of a comparison, task by task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from recinfer.export.comparison import AucPair, Numbers, auc_pair, flat
from recinfer.models.base import Task


def task_aucs(tasks: Sequence[Task], table: pa.Table, first: pa.Table, second: pa.Table) -> dict[str, AucPair]:
    """AUC of each two-class prediction whose label the data has, by prediction.

    Args:
        tasks: of the model.
        table: holds the labels, as far as there are any.
        first, second: scores of its rows.
    """
    found: dict[str, AucPair] = {}
    for task in tasks:
        name = ("probs1" if task.num_class == 2 else "probs") + task.suffix
        scored = task.num_class <= 2 and all(name in side.column_names for side in (first, second))
        if scored and all(column in table.column_names for column in label_columns(task)):
            pair = auc_pair(task.label, _labels(task, table), flat(first.column(name)), flat(second.column(name)))
            if pair is not None:
                found[name] = pair
    return found


def label_columns(task: Task) -> list[str]:
    """Columns that say what a row's label is."""
    return [task.label] + ([task.only_where[0]] if task.only_where else [])


def _labels(task: Task, table: pa.Table) -> Numbers:
    """Labels [B], NaN for rows that have none or that the task is not about."""
    labels = flat(table.column(task.label))
    if task.only_where is None:
        return labels
    column, value = task.only_where
    return np.where(flat(table.column(column)) == value, labels, np.nan)
