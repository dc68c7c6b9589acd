"""Activations that a config can name."""

from __future__ import annotations

import torch
from torch import nn

from recinfer.config.activations import ACTIVATIONS, DICE, activation_hint, activation_name
from recinfer.errors import ConfigError


class Dice(nn.Module):
    """Data-adaptive activation of Deep Interest Network (Zhou et al., KDD 2018, arXiv:1706.06978).

    ``p * x + (1 - p) * alpha * x`` with ``p = sigmoid(batch_norm(x))``; ``alpha`` is learned per unit.

    Args:
        units: width of the last dimension.
    """

    def __init__(self, units: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(units, affine=False)
        self.alpha = nn.Parameter(torch.zeros(units))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Activates [B, units]."""
        gate = torch.sigmoid(self.bn(x))
        return gate * x + (1 - gate) * self.alpha * x


def build_activation(name: str, units: int) -> nn.Module | None:
    """The activation of a config: ``nn.<class>``, ``Dice``, or "" for none.

    Raises:
        ConfigError: the name is unknown.
    """
    bare = activation_name(name)
    if not bare:
        return None
    if bare == DICE:
        return Dice(units)
    if bare not in ACTIVATIONS:
        raise ConfigError(f"activation {name!r} is unknown", activation_hint())
    # In place: it follows a linear layer or a norm, which do not need their output again, and spares a buffer.
    chosen: nn.Module = nn.ReLU(inplace=True) if bare == "ReLU" else getattr(nn, bare)()
    return chosen
