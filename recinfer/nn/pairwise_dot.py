"""Dot products between features."""

from __future__ import annotations

import torch
from torch import nn


class PairwiseDot(nn.Module):
    """The dot product of each pair of different features (Naumov et al., 2019, arXiv:1906.00091).

    Args:
        features: features per row.
    """

    places: torch.Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        rows, columns = torch.triu_indices(features, features, offset=1)
        self.out_features = rows.numel()
        self.register_buffer("places", rows * features + columns, persistent=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """[B, N, D] to [B, N * (N - 1) / 2], pairs in the order (0, 1), (0, 2), ..., (1, 2), ..."""
        products = torch.bmm(features, features.transpose(1, 2))
        return torch.index_select(products.flatten(1), 1, self.places)
