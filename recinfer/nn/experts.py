"""Mixtures of experts with one gate per task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from recinfer.errors import ConfigError
from recinfer.nn.mlp import MLP


class MultiGateExperts(nn.Module):
    """Experts that all tasks share, mixed by a softmax gate per task (Ma et al., KDD 2018, MMoE).

    Args:
        in_features: width of the input.
        config: a message with ``expert_mlp``, ``num_expert`` and perhaps ``gate_mlp``.
        tasks: how many outputs to make.

    Raises:
        ConfigError: there is no expert.
    """

    def __init__(self, in_features: int, config: Any, tasks: int) -> None:
        super().__init__()
        if config.num_expert < 1:
            raise ConfigError("num_expert is 0", "set it to the number of experts that tasks share")
        self.expert_mlps = nn.ModuleList(
            MLP.from_config(in_features, config.expert_mlp) for _ in range(config.num_expert)
        )
        self.out_features = int(config.expert_mlp.hidden_units[-1])
        self.has_gate_mlp = config.HasField("gate_mlp")
        gate_features = in_features
        if self.has_gate_mlp:
            self.gate_mlps = nn.ModuleList(MLP.from_config(in_features, config.gate_mlp) for _ in range(tasks))
            gate_features = int(config.gate_mlp.hidden_units[-1])
        self.gate_finals = nn.ModuleList(nn.Linear(gate_features, config.num_expert) for _ in range(tasks))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """[B, in_features] to [B, out_features] per task."""
        experts = [expert(x) for expert in self.expert_mlps]
        gates = [gate(x) for gate in self.gate_mlps] if self.has_gate_mlp else [x] * len(self.gate_finals)
        return [mix(final(gate), experts) for final, gate in zip(self.gate_finals, gates, strict=True)]


def mix(scores: torch.Tensor, experts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The experts' outputs weighed by the softmax of scores: [B, E] and E times [B, D] to [B, D]."""
    weights = torch.softmax(scores, dim=1).unsqueeze(1)
    return torch.matmul(weights, torch.stack(list(experts), dim=1)).squeeze(1)
