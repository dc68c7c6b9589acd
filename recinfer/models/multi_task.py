"""What models with several tasks share: tasks from towers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recinfer.errors import ConfigError
from recinfer.features.base import Feature
from recinfer.models.base import Model, Task


class MultiTaskModel(Model):
    """A model with one task per ``task_towers`` entry.

    Args:
        message: the model's own, with ``task_towers``.

    Raises:
        ConfigError: there are no towers, or two of one name.
    """

    def __init__(self, config: Any, features: Sequence[Feature], message: Any) -> None:
        super().__init__(config, features, message, tower_tasks(message.task_towers))


def tower_tasks(towers: Sequence[Any]) -> list[Task]:
    """The task of each tower message.

    Raises:
        ConfigError: there are no towers, two of one name, or one without classes.
    """
    names = [tower.tower_name for tower in towers]
    if not names:
        raise ConfigError("the model has no task_towers", "add one per task")
    for tower in towers:
        if names.count(tower.tower_name) > 1:
            raise ConfigError(f"two task towers are called {tower.tower_name!r}", "give each a tower_name of its own")
        if tower.num_class < 1:
            raise ConfigError(f"tower {tower.tower_name!r} has num_class 0", "set it to 1, or the number of classes")
    return [_task(tower) for tower in towers]


def _task(tower: Any) -> Task:
    return Task(
        name=tower.tower_name,
        label=tower.label_name,
        num_class=int(tower.num_class),
        losses=tuple(tower.losses),
        metrics=tuple(tower.metrics),
        train_metrics=tuple(tower.train_metrics),
        weight=float(tower.weight),
        sample_weight=getattr(tower, "sample_weight_name", "") or None,
        task_space=tower.task_space_indicator_label,
        in_task_space_weight=float(tower.in_task_space_weight),
        out_task_space_weight=float(tower.out_task_space_weight),
        pareto_min_loss_weight=float(tower.pareto_min_loss_weight),
    )
