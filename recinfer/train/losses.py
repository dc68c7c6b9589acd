"""The losses of a config's tasks, and their weighted sum."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional

from recinfer.config.task_fit import LOSSES, loss_kind, loss_misfit, loss_option_misfit
from recinfer.data.parser import Tensors
from recinfer.errors import BadRowError, ConfigError
from recinfer.models.base import LOSS_PREFIX, Task
from recinfer.train.ranking_losses import binary_focal, joint_ranking_calibration
from recinfer.train.row_weights import row_weights, sample_weight, weighted_mean
from recinfer.train.task_columns import rows_of

SESSION = "session/"
# From the losses of all tasks to their weights.
Balance = Callable[[Sequence[torch.Tensor]], Sequence[float]]


def check_losses(tasks: Sequence[Task]) -> None:
    """Refuses losses that do not run here or do not fit their task.

    Raises:
        ConfigError: names the task and the loss.
    """
    for task in tasks:
        where = f"tower {task.name!r}" if task.name else "model_config"
        if not task.losses:
            raise ConfigError(f"{where} has no losses", f"add one of {', '.join(LOSSES)}")
        if not task.label:
            raise ConfigError(f"{where} has no label", "name it in data_config.label_fields")
        for loss in task.losses:
            kind = loss_kind(loss)
            misfit = loss_misfit(kind, task.num_class)
            if misfit is None and kind is not None:
                misfit = loss_option_misfit(kind, getattr(loss, kind))
            if misfit is not None:
                raise ConfigError(f"{misfit[0]}: {where}", misfit[1])


def check_label_values(tasks: Sequence[Task], labels: Tensors) -> None:
    """Refuses labels that a task's losses cannot mean: beyond 0 to 1 for a binary loss, no class for a softmax loss.

    Args:
        labels: label column -> [B], on the CPU.

    Raises:
        BadRowError: names column and value.
    """
    for task in tasks:
        if task.label not in labels or "l2_loss" in task.loss_kinds:
            continue
        label = labels[task.label]
        rows = rows_of(task, labels)
        if rows is not None:
            label = label[rows]
        if not len(label):
            continue
        low, high = (float(value) for value in torch.aminmax(label))
        top = max(task.num_class - 1, 1)
        if low < 0 or high > top:
            allowed = "between 0 and 1" if top == 1 else f"one of the classes 0 to {top}"
            raise BadRowError(
                f"label column {task.label!r} holds {low if low < 0 else high:g}, which is not {allowed}",
                "write labels that fit num_class and the loss",
            )


def total_loss(
    tasks: Sequence[Task],
    predictions: Tensors,
    labels: Tensors,
    weights: Tensors,
    groups: Mapping[str, torch.Tensor] | None = None,
    balance: Balance | None = None,
) -> tuple[torch.Tensor, Tensors]:
    """The loss that training minimises, and its parts.

    A task's part is the mean of its rows' losses by their weights. What the model adds under ``loss/`` counts as it is,
    or, where it is [B], as its mean by the sample weights of the first task.

    Args:
        tasks: those of training.
        predictions: what the model returned.
        labels: label column -> [B].
        weights: sample weight column -> float32 [B]; a task takes the one that it names, or else the only one.
        groups: grouping column -> int64 [B], for losses within sessions.
        balance: gives one more factor for each loss of each task, from all of them times their task weights; None
            for 1.

    Returns:
        The sum over tasks of part times task weight, plus the model's own losses, a scalar; and the parts, keyed
        ``<loss>``, ``<loss>_<task>`` or as the model calls its own.
    """
    parts: Tensors = {}
    terms: list[torch.Tensor] = []
    for task in tasks:
        weight = row_weights(task, labels, weights)
        selected = {"label": labels[task.label], **_outputs(task, predictions), **_sessions(task, groups or {})}
        rows = rows_of(task, labels)
        if rows is not None:
            selected = {name: tensor[rows] for name, tensor in selected.items()}
            weight = None if weight is None else weight[rows]
        for loss in task.losses:
            part = weighted_mean(row_losses(loss, task, selected), weight)
            parts[f"{loss.WhichOneof('loss')}{task.suffix}"] = part.detach()
            terms.append(part * task.weight)
    factors = [1.0] * len(terms) if balance is None else balance(terms)
    total = torch.zeros((), device=next(iter(labels.values())).device)
    for factor, term in zip(factors, terms, strict=True):
        total = total + term * factor
    for key, value in predictions.items():
        if key.startswith(LOSS_PREFIX):
            own = value.float()
            if own.dim():
                own = weighted_mean(own, sample_weight(tasks[0], weights))
            parts[key.removeprefix(LOSS_PREFIX)] = own.detach()
            total = total + own
    return total, parts


def _outputs(task: Task, predictions: Tensors) -> Tensors:
    names = [f"{kind}{task.suffix}" for kind in ("logits", "y")]
    return {name: predictions[name] for name in names if name in predictions}


def _sessions(task: Task, groups: Mapping[str, torch.Tensor]) -> Tensors:
    names = [loss.jrc_loss.session_name for loss in task.losses if loss.WhichOneof("loss") == "jrc_loss"]
    return {f"{SESSION}{name}": groups[name] for name in names}


def row_losses(loss: Any, task: Task, rows: Tensors) -> torch.Tensor:
    """A ``LossConfig`` message's loss of every row, float32 [B].

    ``label_smoothing: s`` moves a label's probability from 1 to ``1 - s + s / C`` and the others to ``s / C``,
    for C classes (two for the binary loss).

    Args:
        rows: the task's ``logits<suffix>`` or ``y<suffix>``, ``label`` [B], and session codes int64 [B], keyed
            ``session/<column>``.
    """
    label = rows["label"]
    kind = loss.WhichOneof("loss")
    if kind == "l2_loss":
        return functional.mse_loss(rows[f"y{task.suffix}"].float(), label.float(), reduction="none")
    logits = rows[f"logits{task.suffix}"].float()
    message = getattr(loss, kind)
    if kind == "jrc_loss":
        return joint_ranking_calibration(logits, label, rows[f"{SESSION}{message.session_name}"], message.alpha)
    if kind == "binary_focal_loss":
        return binary_focal(logits, label, message.gamma, message.alpha)
    if kind == "softmax_cross_entropy":
        smoothing = message.label_smoothing
        return functional.cross_entropy(logits, label.long(), reduction="none", label_smoothing=smoothing)
    target = label.float() * (1 - message.label_smoothing) + message.label_smoothing / 2
    return functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
