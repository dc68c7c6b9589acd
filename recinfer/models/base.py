"""What every model shares: its embedding group, its tasks, and how scores become predictions."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from recinfer.errors import ConfigError
from recinfer.features.base import Feature
from recinfer.models.rowless import has_no_rows, with_an_empty_row
from recinfer.nn.embedding_group import EmbeddingGroup
from recinfer.nn.variational_dropout import VariationalDropout

Tensors = dict[str, torch.Tensor]
LOSS_PREFIX = "loss/"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """One thing that a model predicts.

    Attributes:
        name: suffix of its predictions and metrics; "" where a model has a single task.
        label: column of the label.
        num_class: width of the logits.
        losses, metrics, train_metrics: messages of the config.
        weight: of the task's loss.
        sample_weight: column of the rows' weights; "" for the first one, if any; None where rows count alike.
        task_space: label column that says whether a row lies in the task's space (above 0); "" for all rows.
        in_task_space_weight, out_task_space_weight: factors of the rows' weights.
        pareto_min_loss_weight: least weight of the task's loss where task losses are weighed by Pareto optimality.
        only_where: a label column and the value it has in the rows that the task is about; other rows count nothing in
            its losses and metrics. None for all rows.
    """

    name: str
    label: str
    num_class: int
    losses: tuple[Any, ...]
    metrics: tuple[Any, ...]
    train_metrics: tuple[Any, ...]
    weight: float = 1.0
    sample_weight: str | None = ""
    task_space: str = ""
    in_task_space_weight: float = 1.0
    out_task_space_weight: float = 1.0
    pareto_min_loss_weight: float = 0.0
    only_where: tuple[str, int] | None = None

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

    Args:
        config: the pipeline config.
        features: all features of it.
        message: the model's own message.
        tasks: what it predicts.

    Attributes:
        tasks: what it predicts.
        embedding_group: where its inputs come from.
        group_variational_dropouts: by group, where the config asks for them.
    """

    def __init__(self, config: Any, features: Sequence[Feature], message: Any, tasks: list[Task]) -> None:
        super().__init__()
        self.tasks = tasks
        self.embedding_group = EmbeddingGroup(
            features,
            config.model_config.feature_groups,
            wide_dim=getattr(message, "wide_embedding_dim", 4),
            wide_init_fn=getattr(message, "wide_init_fn", "") or None,
        )
        self.group_variational_dropouts = nn.ModuleDict()
        if config.model_config.HasField("variational_dropout"):
            self._build_dropouts(config.model_config.variational_dropout)
        self._losses: Tensors = {}

    def _build_dropouts(self, message: Any) -> None:
        if message.embedding_wise_variational_dropout:
            logger.warning("embedding_wise_variational_dropout has no effect: rates are learned per feature")
        for name, kind in self.embedding_group.group_types.items():
            dims = self.embedding_group.dims(name) if kind in ("DEEP", "WIDE") else []
            if len(dims) > 1:
                self.group_variational_dropouts[name] = VariationalDropout(dims, message.regularization_lambda)

    @property
    def training_tasks(self) -> list[Task]:
        """What it predicts in training; more than ``tasks`` where a part only helps to learn."""
        return self.tasks

    @property
    def first_group(self) -> str:
        """The config's first feature group, which models that read a single one read.

        Raises:
            ConfigError: there is none.
        """
        names = list(self.embedding_group.group_types)
        if not names:
            raise ConfigError("model_config has no feature_groups", "add one of group_type DEEP")
        return names[0]

    def inputs(self, batch: Tensors) -> Tensors:
        """The feature groups of a batch, by name; see :class:`~recinfer.nn.embedding_group.EmbeddingGroup`."""
        groups = self.embedding_group(batch)
        for name, dropout in self.group_variational_dropouts.items():
            assert isinstance(dropout, VariationalDropout)
            groups[name] = dropout(groups[name])
            if self.training:
                self.add_loss(f"{name}_feature_p_loss", dropout.penalty(groups[name].size(0)))
        return groups

    def add_loss(self, name: str, loss: torch.Tensor) -> None:
        """Adds a loss of the training batch that no task describes: a scalar, or [B] to be averaged over rows."""
        self._losses[LOSS_PREFIX + name] = loss

    @abstractmethod
    def predict(self, batch: Tensors) -> list[torch.Tensor]:
        """The raw output of each task, [B, num_class], in the order of ``tasks`` (in training, ``training_tasks``)."""

    def __call__(self, batch: Tensors) -> Tensors:
        """:meth:`forward`; in eval mode also of a batch of zero rows, whose predictions have zero rows."""
        if self.training or not has_no_rows(batch):
            return cast("Tensors", super().__call__(batch))
        return {key: each[:0] for key, each in super().__call__(with_an_empty_row(batch)).items()}

    def forward(self, batch: Tensors) -> Tensors:
        """Predictions of a parsed batch of B rows.

        Returns:
            Per task: ``logits`` and ``probs``, [B] for one class, [B, C] for several (and ``probs1`` [B] for two);
            ``y`` [B] for regression. Multi-task names end in ``_<task>``. In training also ``loss/<name>``: losses that
            no task describes, scalars or [B].
        """
        out: Tensors = {}
        tasks = self.training_tasks if self.training else self.tasks
        for task, raw in zip(tasks, self.predict(batch), strict=True):
            out.update(to_predictions(raw, task))
        out.update(self._losses)
        # Not kept: a copy of the model cannot hold tensors of a past batch.
        self._losses = {}
        return out


class RankModel(Model):
    """A model with one task, described by ``model_config`` itself."""

    def __init__(self, config: Any, features: Sequence[Feature], message: Any) -> None:
        super().__init__(config, features, message, [single_task(config)])


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


def common_dim(groups: EmbeddingGroup, group: str, model: str) -> tuple[int, int]:
    """How many features a group has, and the one width of all.

    Raises:
        ConfigError: widths differ, or there are no features.
    """
    dims = groups.dims(group)
    if len(set(dims)) != 1:
        raise ConfigError(
            f"{model}: features of group {group!r} have the dims {sorted(set(dims))}",
            "it pairs features with each other: give all of them one embedding_dim",
        )
    return len(dims), dims[0]


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
