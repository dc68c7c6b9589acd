"""What every model shares: its embedding group, its tasks, and how scores become predictions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from recinfer.errors import ConfigError
from recinfer.features.base import Feature
from recinfer.nn.embedding_group import EmbeddingGroup

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Task:
    """One thing that a model predicts.

    Attributes:
        name: suffix of its predictions and metrics; "" where a model has a single task.
        label: column of the label.
        num_class: width of the logits.
        losses, metrics, train_metrics: messages of the config.
        weight: of the task's loss.
    """

    name: str
    label: str
    num_class: int
    losses: tuple[Any, ...]
    metrics: tuple[Any, ...]
    train_metrics: tuple[Any, ...]
    weight: float = 1.0

    @property
    def suffix(self) -> str:
        """What follows the names of the task's predictions."""
        return f"_{self.name}" if self.name else ""

    @property
    def loss_kinds(self) -> list[str]:
        """The config names of the losses, such as ``binary_cross_entropy``."""
        return [str(loss.WhichOneof("loss")) for loss in self.losses]


class Model(nn.Module, ABC):
    """A model of the config.

    Attributes:
        tasks: what it predicts.
        embedding_group: where its inputs come from.
    """

    tasks: list[Task]
    embedding_group: EmbeddingGroup

    @abstractmethod
    def predict(self, batch: Tensors) -> list[torch.Tensor]:
        """The raw output of each task, [B, num_class], in the order of ``tasks``."""

    def forward(self, batch: Tensors) -> Tensors:
        """Predictions of a parsed batch of B rows.

        Returns:
            Per task: ``logits`` and ``probs``, [B] for one class, [B, C] for several (and ``probs1`` [B] for two);
            ``y`` [B] for regression. Multi-task names end in ``_<task>``.
        """
        out: Tensors = {}
        for task, raw in zip(self.tasks, self.predict(batch), strict=True):
            out.update(to_predictions(raw, task))
        return out


class RankModel(Model):
    """A model with one task, described by ``model_config`` itself."""

    def __init__(self, config: Any, features: Sequence[Feature], message: Any) -> None:
        super().__init__()
        self.tasks = [single_task(config)]
        self.embedding_group = EmbeddingGroup(
            features,
            config.model_config.feature_groups,
            wide_dim=getattr(message, "wide_embedding_dim", 4),
            wide_init_fn=getattr(message, "wide_init_fn", "") or None,
        )


def single_task(config: Any) -> Task:
    """The task of a model that has one: label and losses of the config."""
    model = config.model_config
    labels = list(config.data_config.label_fields)
    if model.num_class < 1:
        raise ConfigError("model_config.num_class is 0", "set it to 1, or to the number of classes")
    return Task(
        name="",
        label=labels[0] if labels else "",
        num_class=int(model.num_class),
        losses=tuple(model.losses),
        metrics=tuple(model.metrics),
        train_metrics=tuple(model.train_metrics),
    )


def to_predictions(raw: torch.Tensor, task: Task) -> Tensors:
    """Raw output [B, num_class] as named predictions."""
    suffix = task.suffix
    if "l2_loss" in task.loss_kinds:
        return {f"y{suffix}": raw.squeeze(1)}
    if task.num_class == 1:
        logits = raw.squeeze(1)
        return {f"logits{suffix}": logits, f"probs{suffix}": torch.sigmoid(logits)}
    probs = torch.softmax(raw, dim=1)
    out = {f"logits{suffix}": raw, f"probs{suffix}": probs}
    if task.num_class == 2:
        out[f"probs1{suffix}"] = probs[:, 1]
    return out
