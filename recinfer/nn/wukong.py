"""Layers of Wukong."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from recinfer.nn.mlp import MLP


class LinearCompression(nn.Module):
    """Mixes embeddings into fewer or more: a linear map over features, the same in each dimension.

    Args:
        before, after: features of input and output.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.kaiming_uniform_(torch.empty(before, after)))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """[B, before, D] to [B, after, D]."""
        return torch.matmul(self.weight.t(), features)


class FactorizationBlock(nn.Module):
    """Dot products of features with compressed features, and an MLP that makes new features of them.

    Args:
        dim: width of a feature.
        before, after: features of input and output.
        compressed: features after compression.
        mlp: the ``MLP`` message.
    """

    def __init__(self, dim: int, before: int, after: int, compressed: int, mlp: Any) -> None:
        super().__init__()
        self.after, self.dim = after, dim
        self.weight = nn.Parameter(nn.init.kaiming_uniform_(torch.empty(before, compressed)))
        self.norm = nn.LayerNorm(before * compressed)
        self.mlp = MLP.from_config(before * compressed, mlp)
        # Spelled as in trained models.
        self.feature_out_liner = nn.Linear(self.mlp.out_features, after * dim)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """[B, before, D] to [B, after, D]."""
        products = torch.matmul(features, torch.matmul(features.transpose(1, 2), self.weight))
        hidden = self.mlp(self.norm(products.flatten(1)))
        return self.feature_out_liner(hidden).unflatten(1, (self.after, self.dim))


class WuKongLayer(nn.Module):
    """One layer of Wukong (Zhang et al., ICML 2024, arXiv:2403.02545): factorization beside linear compression, a
    residual and a norm.

    Args:
        dim: width of a feature.
        features: features of the input.
        config: the ``WuKongLayer`` message.
    """

    def __init__(self, dim: int, features: int, config: Any) -> None:
        super().__init__()
        linear, factorized = config.lcb_feature_num, config.fmb_feature_num
        self.out_features = linear + factorized
        self.lcb = LinearCompression(features, linear)
        self.fmb = FactorizationBlock(dim, features, factorized, config.compressed_feature_num, config.feature_num_mlp)
        self.norm = nn.LayerNorm(dim)
        self.residual_projection = (
            nn.Identity() if features == self.out_features else LinearCompression(features, self.out_features)
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """[B, features, D] to [B, out_features, D]."""
        made = torch.cat([self.fmb(features), self.lcb(features)], dim=1)
        return self.norm(made + self.residual_projection(features))
