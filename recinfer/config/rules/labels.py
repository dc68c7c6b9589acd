"""Labels: the columns that a model learns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from recinfer.config.nearest import name_hint
from recinfer.config.problems import Problem
from recinfer.config.view import ConfigView


def labels_are_set(view: ConfigView) -> Iterator[Problem]:
    """There is a label."""
    if view.config.HasField("data_config") and not view.config.data_config.label_fields:
        yield Problem("data_config", "`label_fields` is empty", "name the label's column")


def task_labels_exist(view: ConfigView) -> Iterator[Problem]:
    """Every task's label and sample weight is a column that ``data_config`` names."""
    data = view.config.data_config
    tasks = view.towers()
    fused = getattr(view.model, "fusion_mtl_tower", None)
    if fused is not None:
        path = f"model_config.{view.model_kind}.fusion_mtl_tower.task_configs"
        tasks = tasks + [(f"{path}[{index}]", task) for index, task in enumerate(fused.task_configs)]
    for path, task in tasks:
        yield from _unknown(path, task, "label_name", "label_fields", data.label_fields)
        yield from _unknown(path, task, "task_space_indicator_label", "label_fields", data.label_fields)
        yield from _unknown(path, task, "sample_weight_name", "sample_weight_fields", data.sample_weight_fields)


def _unknown(path: str, task: Any, field: str, known_field: str, known: Any) -> Iterator[Problem]:
    name = getattr(task, field, "")
    if name and name not in known:
        yield Problem(
            f"{path}.{field}",
            f"`{name}` is not in data_config.{known_field}",
            name_hint(name, known) or f'add {known_field}: "{name}"',
        )
