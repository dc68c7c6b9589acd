"""Multi-tower model with target attention over sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from recinfer.features.base import Feature
from recinfer.models.base import RankModel, Tensors
from recinfer.models.multi_tower import build_towers
from recinfer.nn.din import DIN
from recinfer.nn.mlp import MLP


class MultiTowerDIN(RankModel):
    """An MLP per deep group, a DIN per sequence group (Zhou et al., KDD 2018, arXiv:1706.06978), then an MLP over all.

    Feature groups: each tower's ``input`` (deep), each DIN tower's ``input`` (sequence).
    """

    def __init__(self, config: Any, features: Sequence[Feature]) -> None:
        message = config.model_config.multi_tower_din
        super().__init__(config, features, message)
        self.tower_inputs = [tower.input for tower in message.towers]
        self.towers, width = build_towers(message.towers, self.embedding_group)
        self.din_inputs = [tower.input for tower in message.din_towers]
        self.din_towers = nn.ModuleList()
        for tower in message.din_towers:
            query_dim, step_dim = self.embedding_group.sequence_dims(tower.input)
            self.din_towers.append(DIN(query_dim, step_dim, tower.attn_mlp))
            width += step_dim
        self.final_mlp = MLP.from_config(width, message.final)
        self.output_mlp = nn.Linear(self.final_mlp.out_features, self.tasks[0].num_class)

    def predict(self, batch: Tensors) -> list[torch.Tensor]:
        """Raw scores, [B, num_class]."""
        groups = self.inputs(batch)
        outputs = [self.towers[name](groups[name]) for name in self.tower_inputs]
        for name, tower in zip(self.din_inputs, self.din_towers, strict=True):
            outputs.append(
                tower(groups[f"{name}.query"], groups[f"{name}.sequence"], groups[f"{name}.sequence_length"])
            )
        return [self.output_mlp(self.final_mlp(torch.cat(outputs, dim=1)))]
