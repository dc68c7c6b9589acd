"""The losses of a config's tasks, and their weighted sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from recinfer.data.parser import Tensors
from recinfer.errors import BadRowError, ConfigError
from recinfer.models.base import Task

SUPPORTED = ("binary_cross_entropy", "softmax_cross_entropy", "l2_loss")


def check_losses(tasks: Sequence[Task]) -> None:
    """Refuses losses that do not run here or do not fit their task.

    Raises:
        ConfigError: names the task and the loss.
    """
    for task in tasks:
        where = f"tower {task.name!r}" if task.name else "model_config"
        if not task.losses:
            raise ConfigError(f"{where} has no losses", f"add one of {', '.join(SUPPORTED)}")
        if not task.label:
            raise ConfigError(f"{where} has no label", "name it in data_config.label_fields")
        for loss in task.losses:
            _check_loss(loss.WhichOneof("loss"), task, where)


def _check_loss(kind: str | None, task: Task, where: str) -> None:
    if kind not in SUPPORTED:
        raise ConfigError(f"loss `{kind}` is not supported: {where}", f"use one of {', '.join(SUPPORTED)}")
    if kind == "softmax_cross_entropy" and task.num_class < 2:
        raise ConfigError(f"softmax_cross_entropy with num_class {task.num_class}: {where}", "set num_class above 1")
    if kind != "softmax_cross_entropy" and task.num_class > 1:
        raise ConfigError(f"{kind} with num_class {task.num_class}: {where}", "use softmax_cross_entropy")


def check_label_values(tasks: Sequence[Task], labels: Tensors) -> None:
    """Refuses labels that a task's losses cannot mean: beyond 0 to 1 for a binary loss, no class for a softmax loss.

    Args:
        labels: label column -> [B], on the CPU.

    Raises:
        BadRowError: names column and value.
    """
    for task in tasks:
        if task.label not in labels or not len(labels[task.label]) or "l2_loss" in task.loss_kinds:
            continue
        label = labels[task.label]
        low, high = (float(value) for value in torch.aminmax(label))
        top = max(task.num_class - 1, 1)
        if low < 0 or high > top:
            allowed = "between 0 and 1" if top == 1 else f"one of the classes 0 to {top}"
            raise BadRowError(
                f"label column {task.label!r} holds {low if low < 0 else high:g}, which is not {allowed}",
                "write labels that fit num_class and the loss",
            )


def total_loss(
    tasks: Sequence[Task], predictions: Tensors, labels: Tensors, weights: Tensors
) -> tuple[torch.Tensor, Tensors]:
    """The loss that training minimises, and its parts.

    Each part is the mean over the rows of loss times sample weight, the weights divided by their mean in the batch.

    Args:
        predictions: what the model returned.
        labels: label column -> [B].
        weights: sample weight column -> float32 [B]; a task takes the one that it names, or else the only one.

    Returns:
        The sum over tasks of part times task weight, a scalar; and the parts, keyed ``<loss>`` or ``<loss>_<task>``.
    """
    parts: Tensors = {}
    total = torch.zeros((), device=next(iter(labels.values())).device)
    for task in tasks:
        sample_weight = _sample_weight(task, weights)
        for loss in task.losses:
            kind = loss.WhichOneof("loss")
            rows = row_losses(loss, task, predictions, labels[task.label])
            part = torch.mean(rows if sample_weight is None else rows * sample_weight)
            parts[f"{kind}{task.suffix}"] = part.detach()
            total = total + part * task.weight
    return total, parts


def row_losses(loss: Any, task: Task, predictions: Tensors, label: torch.Tensor) -> torch.Tensor:
    """A ``LossConfig`` message's loss of every row, float32 [B].

    ``label_smoothing: s`` moves a label's probability from 1 to ``1 - s + s / C`` and the others to ``s / C``,
    for C classes (two for the binary loss).
    """
    kind = loss.WhichOneof("loss")
    if kind == "l2_loss":
        return functional.mse_loss(predictions[f"y{task.suffix}"].float(), label.float(), reduction="none")
    logits = predictions[f"logits{task.suffix}"].float()
    smoothing = getattr(loss, kind).label_smoothing
    if kind == "softmax_cross_entropy":
        return functional.cross_entropy(logits, label.long(), reduction="none", label_smoothing=smoothing)
    target = label.float() * (1 - smoothing) + smoothing / 2
    return functional.binary_cross_entropy_with_logits(logits, target, reduction="none")


def _sample_weight(task: Task, weights: Tensors) -> torch.Tensor | None:
    if not weights:
        return None
    named = getattr(task, "sample_weight", "")
    if not named and len(weights) > 1:
        raise ConfigError(
            f"data_config.sample_weight_fields names {len(weights)} columns, and a task does not say which is its own",
            "name one column",
        )
    weight = weights[named] if named else next(iter(weights.values()))
    return weight / torch.clamp(torch.mean(weight), min=1e-12)
