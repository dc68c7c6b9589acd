"""Which columns a config reads beside those of its features."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from recinfer.config.view import ConfigView


def number_columns(config: Any) -> list[str]:
    """Labels and sample weights."""
    return [*config.data_config.label_fields, *config.data_config.sample_weight_fields]


def grouping_columns(config: Any) -> list[str]:
    """What metrics and losses group rows by."""
    view = ConfigView(config)
    tasks = [tower for _, tower in view.towers()] or [config.model_config]
    return list(dict.fromkeys(name for task in tasks for name in _groupings(task) if name))


def _groupings(task: Any) -> Iterator[str]:
    for metric in [*task.metrics, *task.train_metrics]:
        kind = metric.WhichOneof("metric")
        yield getattr(getattr(metric, kind), "grouping_key", "") if kind else ""
    for loss in task.losses:
        kind = loss.WhichOneof("loss")
        yield getattr(getattr(loss, kind), "session_name", "") if kind else ""
