"""Factorization machine."""

from __future__ import annotations

import torch
from torch import nn


class FactorizationMachine(nn.Module):
    """Second-order interactions (Rendle, ICDM 2010): the sum over pairs of features of their element-wise products."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """[B, N, D] to [B, D]."""
        total = torch.sum(features, dim=1)
        return 0.5 * (total * total - torch.sum(features * features, dim=1))
