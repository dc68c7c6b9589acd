"""Gates of PEPNet."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from recinfer.errors import ConfigError
from recinfer.nn.activation import build_activation


class GateUnit(nn.Module):
    """Factors between 0 and ``gamma``, made from a prior by two layers.

    Args:
        in_features: width of the prior.
        hidden: width of the first layer.
        out_features: how many factors.
        gamma: the largest factor.
    """

    def __init__(self, in_features: int, hidden: int, out_features: int, gamma: float) -> None:
        super().__init__()
        self.gamma = gamma
        self.dense_layers = nn.Sequential(
            nn.Linear(in_features, hidden), nn.ReLU(), nn.Linear(hidden, out_features), nn.Sigmoid()
        )

    def forward(self, prior: torch.Tensor) -> torch.Tensor:
        """[B, in_features] to [B, out_features]."""
        return self.gamma * self.dense_layers(prior)


class EPNet(nn.Module):
    """Scales embeddings by gates that know the domain (Chang et al., KDD 2023, arXiv:2302.01115).

    Args:
        main: width of the embeddings.
        domain: width of the domain's features.
        hidden: width of the gate's hidden layer.
        gamma: the largest factor.
    """

    def __init__(self, main: int, domain: int, hidden: int, gamma: float) -> None:
        super().__init__()
        self.gate_nu = GateUnit(domain + main, hidden, main, gamma)

    def forward(self, main: torch.Tensor, domain: torch.Tensor) -> torch.Tensor:
        """[B, main] and [B, domain] to [B, main]; the gate does not train the embeddings."""
        return self.gate_nu(torch.cat([domain, main.detach()], dim=1)) * main


class PPNet(nn.Module):
    """One MLP per task whose layers are scaled by gates that know the user (Chang et al., KDD 2023, arXiv:2302.01115).

    Args:
        main: width of the embeddings.
        user: width of the user's features.
        tasks: how many outputs to make.
        hidden_units: width of each layer.
        activation: of each layer.
        dropout_ratio: one value for all layers, or one per layer, or none.
        gamma: the largest factor.

    Raises:
        ConfigError: there are no layers, or dropouts do not fit them.
    """

    def __init__(
        self,
        main: int,
        user: int,
        tasks: int,
        hidden_units: Sequence[int],
        activation: str,
        dropout_ratio: Sequence[float],
        gamma: float,
    ) -> None:
        super().__init__()
        if not hidden_units:
            raise ConfigError("PEPNet has a group 'uia' and no ppnet_hidden_units", "give at least one layer")
        ratios = list(dropout_ratio) or [0.0]
        ratios = ratios * len(hidden_units) if len(ratios) == 1 else ratios
        if len(ratios) != len(hidden_units):
            raise ConfigError(
                f"PEPNet has {len(hidden_units)} ppnet_hidden_units and {len(ratios)} ppnet_dropout_ratio values",
                "give one value, or one per layer",
            )
        self.tasks, self.depth = tasks, len(hidden_units)
        self.out_features = int(hidden_units[-1])
        self.linears = nn.ModuleList()
        self.activations = nn.ModuleList()
        self.dropout_ratios = nn.ModuleList()
        self.gate_nus = nn.ModuleList()
        for _ in range(tasks):
            for before, after, ratio in zip([main, *hidden_units], hidden_units, ratios, strict=False):
                self.linears.append(nn.Linear(before, after))
                self.activations.append(build_activation(activation, after) or nn.Identity())
                self.dropout_ratios.append(nn.Dropout(ratio))
                self.gate_nus.append(GateUnit(main + user, after, after, gamma))

    def forward(self, main: torch.Tensor, user: torch.Tensor) -> list[torch.Tensor]:
        """[B, main] and [B, user] to [B, out_features] per task; the gates do not train the embeddings."""
        prior = torch.cat([user, main.detach()], dim=1)
        out = []
        for task in range(self.tasks):
            x = main
            for layer in range(task * self.depth, (task + 1) * self.depth):
                x = self.activations[layer](self.linears[layer](x))
                x = self.dropout_ratios[layer](x * self.gate_nus[layer](prior))
            out.append(x)
        return out
