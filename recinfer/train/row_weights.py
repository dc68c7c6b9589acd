"""How much each row counts in a loss."""

from __future__ import annotations

import torch

from recinfer.data.parser import Tensors
from recinfer.errors import ConfigError
from recinfer.models.base import Task


def row_weights(task: Task, labels: Tensors, weights: Tensors) -> torch.Tensor | None:
    """The weight of each row in a task's loss: its sample weight, times the factor of the task's space.

    Args:
        labels: label column -> [B].
        weights: sample weight column -> float32 [B].

    Returns:
        float32 [B], or None where all rows count alike.

    Raises:
        ConfigError: the task's sample weight is not among the weights.
    """
    weight = sample_weight(task, weights)
    if not task.task_space:
        return weight
    inside = labels[task.task_space] > 0
    factor = torch.where(inside, task.in_task_space_weight, task.out_task_space_weight).float()
    return factor if weight is None else weight * factor


def sample_weight(task: Task, weights: Tensors) -> torch.Tensor | None:
    """The sample weights that a task names, float32 [B]; None without any.

    A model's single task, which can name none, takes the first of ``sample_weight_fields``; a tower that names none
    counts all rows alike, as in TorchEasyRec.

    Raises:
        ConfigError: the named ones are missing.
    """
    if task.sample_weight is None:
        return None
    if task.sample_weight:
        if task.sample_weight not in weights:
            raise ConfigError(
                f"tower {task.name!r} weighs rows by {task.sample_weight!r}, which is no sample weight",
                "name the column in data_config.sample_weight_fields",
            )
        return weights[task.sample_weight]
    return next(iter(weights.values()), None)


def weighted_mean(rows: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    """The mean of ``rows`` [B] by ``weight`` [B], a scalar; 0 where there are no rows or all weights are 0."""
    if weight is None:
        return torch.sum(rows) / max(len(rows), 1)
    return torch.sum(rows * weight) / torch.clamp(torch.sum(weight), min=1e-12)
