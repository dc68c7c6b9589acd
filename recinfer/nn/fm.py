"""Factorization machine."""

from __future__ import annotations

import torch
from torch import nn


class FactorizationMachine(nn.Module):
    """Second-order interactions (Rendle, ICDM 2010): the sum over pairs of features of their element-wise products."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """[B, N, D] to [B, D]."""
        square_of_sum = torch.square(torch.sum(features, dim=1))
        sum_of_square = torch.sum(torch.square(features), dim=1)
        return 0.5 * (square_of_sum - sum_of_square)
