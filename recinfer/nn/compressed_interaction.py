"""Compressed interaction network of xDeepFM."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class CompressedInteraction(nn.Module):
    """Layers of outer products between feature maps and the input features (Lian et al., KDD 2018, arXiv:1803.05170).

    Each layer is kept as a convolution of width 1 over the outer product, but computed without building it: the weights
    meet the input features first, which leaves fewer numbers in between.

    Args:
        features: input features.
        layer_sizes: feature maps of each layer.
    """

    def __init__(self, features: int, layer_sizes: Sequence[int]) -> None:
        super().__init__()
        self.maps = [features, *layer_sizes]
        self.out_features = sum(layer_sizes)
        self.cin_layers = nn.ModuleList(
            nn.Conv1d(features * before, after, kernel_size=1)
            for before, after in zip(self.maps[:-1], self.maps[1:], strict=True)
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """[B, features, D] to [B, sum of layer_sizes]: each map summed over D."""
        maps = features
        sums = []
        for place, layer in enumerate(self.cin_layers):
            assert isinstance(layer, nn.Conv1d) and layer.bias is not None
            weight = layer.weight.reshape(-1, self.maps[place], self.maps[0])
            # In the first layer maps and features are the same, so the weights can stay as they lie.
            weight = weight if place == 0 else weight.transpose(1, 2)
            maps = _weighted_products(weight, maps, features) + layer.bias.unsqueeze(1)
            sums.append(torch.sum(maps, dim=2))
        return torch.cat(sums, dim=1)


def _weighted_products(weight: torch.Tensor, maps: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """For each output a weighted sum over all products of a map and a feature.

    Args:
        weight: [outputs, features, maps].
        maps: [B, maps, D].
        features: [B, features, D].

    Returns:
        [B, outputs, D].
    """
    outputs = weight.size(0)
    mixed = torch.matmul(weight.reshape(-1, weight.size(2)), maps).unflatten(1, (outputs, -1))
    return torch.sum(mixed * features.unsqueeze(1), dim=2)
