"""Tasks: at least one, with classes, losses and metrics that go together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from recinfer.config.problems import Problem
from recinfer.config.supported_models import SUPPORTED_MODELS
from recinfer.config.task_fit import (
    loss_kind,
    loss_misfit,
    loss_option_misfit,
    metric_misfit,
    metric_name,
    metric_option_misfit,
)
from recinfer.config.view import ConfigView


def tasks_are_there(view: ConfigView) -> Iterator[Problem]:
    """A multi-task model has towers."""
    model = view.model
    if model is not None and "task_towers" in model.DESCRIPTOR.fields_by_name and not view.towers():
        yield Problem(f"model_config.{view.model_kind}", "`task_towers` is empty", "add one per task")


def tasks_have_classes(view: ConfigView) -> Iterator[Problem]:
    """A task has at least one class: 1 for a score, more for a softmax."""
    for path, task in _tasks(view):
        if task.num_class < 1:
            yield Problem(path, "`num_class` is 0", "set it to 1, or to the number of classes")


def tasks_have_losses(view: ConfigView) -> Iterator[Problem]:
    """What is trained has a loss."""
    if not view.config.HasField("train_config"):
        return
    for path, task in _tasks(view):
        if not task.losses:
            yield Problem(path, "`losses` is empty", "add one, for example losses { binary_cross_entropy {} }")


def losses_fit_their_tasks(view: ConfigView) -> Iterator[Problem]:
    """A loss runs here, and fits the number of classes."""
    for path, task in _tasks(view):
        for index, loss in enumerate(task.losses):
            kind = loss_kind(loss)
            misfit = loss_misfit(kind, task.num_class) if task.num_class else None
            if misfit is None and kind is not None:
                misfit = loss_option_misfit(kind, getattr(loss, kind))
            if misfit is not None:
                yield Problem(f"{path}.losses[{index}]", *misfit)


def metrics_fit_their_tasks(view: ConfigView) -> Iterator[Problem]:
    """A metric runs here, and fits what the task predicts."""
    for path, task in _tasks(view):
        losses = [str(loss_kind(loss)) for loss in task.losses]
        for field in ("metrics", "train_metrics"):
            for index, metric in enumerate(getattr(task, field)):
                kind = metric.WhichOneof("metric")
                # A missing grouping_key is a missing field, which another rule tells.
                misfit = metric_misfit(kind, task.num_class, losses, "set") if task.num_class else None
                if misfit is None and kind is not None:
                    misfit = metric_option_misfit(kind, getattr(metric, kind), task.num_class)
                if misfit is not None:
                    yield Problem(f"{path}.{field}[{index}]", *misfit)


def metrics_have_names_of_their_own(view: ConfigView) -> Iterator[Problem]:
    """No metric of a task would write over the value of another."""
    for path, task in _tasks(view):
        for field in ("metrics", "train_metrics"):
            seen: dict[str, Any] = {}
            for index, metric in enumerate(getattr(task, field)):
                kind = metric.WhichOneof("metric")
                if kind is None:
                    continue
                options = getattr(metric, kind)
                name = metric_name(kind, options)
                if seen.setdefault(name, options) != options:
                    what = f"two metrics that differ are both called `{name}`"
                    yield Problem(f"{path}.{field}[{index}]", what, "keep one of them, and measure the other apart")


def least_loss_weights_leave_room(view: ConfigView) -> Iterator[Problem]:
    """Weights by Pareto efficiency are those of task towers, and their least values sum to less than 1."""
    if not view.config.model_config.use_pareto_loss_weight:
        return
    towers = view.towers()
    if not towers:
        hint = "it divides weight between task_towers: remove it"
        yield Problem("model_config", "`use_pareto_loss_weight` is set, and the model has no task towers", hint)
    least = [tower.pareto_min_loss_weight for _, tower in towers for _ in tower.losses]
    if any(value < 0 for value in least) or sum(least) >= 1:
        values = ", ".join(f"{value:g}" for value in least)
        hint = "none may be negative, and their sum must be below 1"
        yield Problem(f"model_config.{view.model_kind}", f"`pareto_min_loss_weight` of the losses is {values}", hint)


def labels_belong_to_tasks(view: ConfigView) -> Iterator[Problem]:
    """A tower names the column that it learns."""
    for path, tower in view.towers():
        field = tower.DESCRIPTOR.fields_by_name.get("label_name")
        # Where the message requires it, another rule tells that it is missing.
        if field is not None and not field.is_required and not tower.label_name and tower.losses:
            yield Problem(path, "`label_name` is missing", "name the label's column")


def _tasks(view: ConfigView) -> list[tuple[str, Any]]:
    """What holds losses and metrics: the task towers, or else the model itself."""
    if view.model is None or view.model_kind not in SUPPORTED_MODELS:
        return []
    if "task_towers" in view.model.DESCRIPTOR.fields_by_name:
        return view.towers()
    return [("model_config", view.config.model_config)]
