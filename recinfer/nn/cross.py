"""Cross networks: explicit feature crosses of bounded degree."""

from __future__ import annotations

import torch
from torch import nn


class Cross(nn.Module):
    """The cross network of DCN (Wang et al., ADKDD 2017, arXiv:1708.05123): ``x' = x0 * (w . x) + b + x``.

    Args:
        dim: width of input and output.
        layers: crosses, each of which raises the degree by one.
    """

    def __init__(self, dim: int, layers: int) -> None:
        super().__init__()
        self.w = nn.ModuleList(nn.Linear(dim, 1, bias=False) for _ in range(layers))
        self.b = nn.ParameterList(nn.Parameter(torch.zeros(dim)) for _ in range(layers))
        for linear in self.w:
            assert isinstance(linear, nn.Linear)
            nn.init.xavier_uniform_(linear.weight)

    def forward(self, first: torch.Tensor) -> torch.Tensor:
        """[B, dim] to [B, dim]."""
        x = first
        for layer, linear in enumerate(self.w):
            x = linear(x) * first + self.b[layer] + x
        return x


class LowRankCross(nn.Module):
    """The cross network of DCN V2 (Wang et al., WWW 2021, arXiv:2008.13535): ``x' = x0 * (V U x + b) + x``.

    Args:
        dim: width of input and output.
        layers: crosses, each of which raises the degree by one.
        rank: of the weights.
    """

    def __init__(self, dim: int, layers: int, rank: int) -> None:
        super().__init__()
        self.u_kernels = nn.ModuleList(nn.Linear(dim, rank, bias=False) for _ in range(layers))
        self.v_kernels = nn.ModuleList(nn.Linear(rank, dim) for _ in range(layers))

    def forward(self, first: torch.Tensor) -> torch.Tensor:
        """[B, dim] to [B, dim]."""
        x = first
        for u, v in zip(self.u_kernels, self.v_kernels, strict=True):
            x = first * v(u(x)) + x
        return x
