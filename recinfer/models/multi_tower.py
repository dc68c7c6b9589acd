"""Multi-tower model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from recinfer.features.base import Feature
from recinfer.models.base import RankModel, Tensors
from recinfer.nn.mlp import MLP


class MultiTower(RankModel):
    """An MLP per feature group, and one over their outputs side by side.

    Feature groups: each tower's ``input``. A tower without ``mlp`` passes its group on as it is.
    """

    def __init__(self, config: Any, features: Sequence[Feature]) -> None:
        message = config.model_config.multi_tower
        super().__init__(config, features, message)
        self.tower_inputs = [tower.input for tower in message.towers]
        self.towers, width = build_towers(message.towers, self.embedding_group)
        self.final_mlp = MLP.from_config(width, message.final)
        self.output_mlp = nn.Linear(self.final_mlp.out_features, self.tasks[0].num_class)

    def predict(self, batch: Tensors) -> list[torch.Tensor]:
        """Raw scores, [B, num_class]."""
        groups = self.inputs(batch)
        outputs = [self.towers[name](groups[name]) for name in self.tower_inputs]
        return [self.output_mlp(self.final_mlp(torch.cat(outputs, dim=1)))]


def build_towers(towers: Sequence[Any], groups: Any) -> tuple[nn.ModuleDict, int]:
    """An MLP (or nothing) per ``Tower`` message, by input, and the width of all outputs together."""
    modules: dict[str, nn.Module] = {}
    width = 0
    for tower in towers:
        dim = groups.total_dim(tower.input)
        modules[tower.input] = MLP.from_config(dim, tower.mlp) if tower.HasField("mlp") else nn.Identity()
        width += tower.mlp.hidden_units[-1] if tower.HasField("mlp") else dim
    return nn.ModuleDict(modules), width
