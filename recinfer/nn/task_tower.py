"""The output side of one task."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from recinfer.nn.mlp import MLP


class TaskTower(nn.Module):
    """An MLP, where the config has one, and a linear layer.

    Args:
        in_features: width of the input.
        config: a message with ``num_class`` and perhaps ``mlp``.
    """

    def __init__(self, in_features: int, config: Any) -> None:
        super().__init__()
        self.has_mlp = config.HasField("mlp")
        if self.has_mlp:
            self.tower_mlp = MLP.from_config(in_features, config.mlp)
            in_features = self.tower_mlp.out_features
        self.linear = nn.Linear(in_features, config.num_class)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, in_features] to [B, num_class]."""
        return self.linear(self.tower_mlp(x) if self.has_mlp else x)
