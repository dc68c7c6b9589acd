"""Rocket Launching."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from recinfer.features.base import Feature
from recinfer.models.base import Model, Task, Tensors, single_task
from recinfer.nn.mlp import MLP
from recinfer.protos.similarity_pb2 import Similarity


class RocketLaunching(Model):
    """A light network that learns beside a large one, the booster, and serves alone (Zhou et al., AAAI 2018,
    arXiv:1708.04106).

    Feature groups: the first one. Predictions end in ``_light``; in training there are ``_booster`` ones too, and
    losses that draw the light network's logits, and with ``feature_based_distillation`` its hidden layers, to the
    booster's. The light network's gradient stops before the shared part.
    """

    def __init__(self, config: Any, features: Sequence[Feature]) -> None:
        message = config.model_config.rocket_launching
        super().__init__(config, features, message, [replace(single_task(config), name="light")])
        num_class = self.tasks[0].num_class
        width = self.embedding_group.total_dim(self.first_group)
        self.has_share = message.HasField("share_mlp")
        if self.has_share:
            self.share_mlp = MLP.from_config(width, message.share_mlp)
            width = self.share_mlp.out_features
        self.booster_mlp = MLP.from_config(width, message.booster_mlp)
        self.booster_linear = nn.Linear(self.booster_mlp.out_features, num_class)
        self.light_mlp = MLP.from_config(width, message.light_mlp)
        self.light_linear = nn.Linear(self.light_mlp.out_features, num_class)
        self.by_cosine = message.feature_distillation_function == Similarity.COSINE
        self.pairs = _equal_layers(message) if message.feature_based_distillation else []

    @property
    def training_tasks(self) -> list[Task]:
        """Those of the light network and of the booster."""
        return [*self.tasks, replace(self.tasks[0], name="booster")]

    def predict(self, batch: Tensors) -> list[torch.Tensor]:
        """Raw scores of the light network, [B, num_class]; in training also those of the booster."""
        shared = self.inputs(batch)[self.first_group]
        if self.has_share:
            shared = self.share_mlp(shared)
        if not self.training:
            return [self.light_linear(self.light_mlp(shared))]
        light = _hidden_layers(self.light_mlp, shared.detach())
        booster = _hidden_layers(self.booster_mlp, shared)
        scores = [self.light_linear(light[-1]), self.booster_linear(booster[-1])]
        hint = functional.mse_loss(scores[0], scores[1].detach(), reduction="none")
        self.add_loss("hint_l2_loss", torch.mean(hint, dim=1))
        for count, (ours, theirs) in enumerate(self.pairs):
            self.add_loss(f"similarity_{count}", self._distance(light[ours], booster[theirs].detach()))
        return scores

    def _distance(self, light: torch.Tensor, booster: torch.Tensor) -> torch.Tensor:
        """A tenth of the negative cosine of each row [B], or the Euclidean distance of the whole layers."""
        if self.by_cosine:
            return -0.1 * functional.cosine_similarity(light, booster, dim=1)
        return torch.linalg.vector_norm(light - booster)


def _hidden_layers(mlp: MLP, x: torch.Tensor) -> list[torch.Tensor]:
    """The output of each layer."""
    out = []
    for layer in mlp.mlp:
        x = layer(x)
        out.append(x)
    return out


def _equal_layers(message: Any) -> list[tuple[int, int]]:
    """Each layer of the light network with the first one of the booster that has as many units."""
    booster = list(message.booster_mlp.hidden_units)
    light = message.light_mlp.hidden_units
    return [(place, booster.index(units)) for place, units in enumerate(light) if units in booster]
