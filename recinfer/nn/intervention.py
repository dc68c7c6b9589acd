"""Intervention of one task's representation in another's."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.parametrizations import orthogonal

from recinfer.errors import ConfigError


class OrthogonalMap(nn.Module):
    """A linear map to fewer dimensions whose columns stay orthonormal in training.

    ``torch.nn.utils.parametrizations`` holds the parameters and initialises them; :func:`orthonormal` turns them into
    the matrix by operators that a trace can hold.

    Args:
        before, after: widths.
    """

    weight: torch.Tensor

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.orthogonal_(torch.empty(before, after)))
        orthogonal(self, "weight")

    def matrix(self) -> torch.Tensor:
        """[before, after]."""
        held = self.parametrizations["weight"]  # type: ignore[index]
        return orthonormal(held.original, held[0].base)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, before] to [B, after]."""
        return torch.matmul(x, self.matrix())


class Intervention(nn.Module):
    """Shifts a representation, inside a low-rank subspace, by where others lie in it (ReFT: Wu et al., NeurIPS 2024,
    arXiv:2404.03592).

    Args:
        base: width of the representation.
        source: width of those that intervene.
        rank: of the subspace; below ``base``.
        dropout: of the output.
        where: the tower, for messages.

    Raises:
        ConfigError: the rank is not below ``base``.
    """

    def __init__(self, base: int, source: int, rank: int, dropout: float, where: str) -> None:
        super().__init__()
        if not 0 < rank < base:
            raise ConfigError(
                f"{where} has low_rank_dim {rank} and a representation of width {base}",
                "a subspace has fewer dimensions: choose one between 1 and the width",
            )
        self.base_rotate_layer = OrthogonalMap(base, rank)
        self.source_rotate_layer = OrthogonalMap(source, rank)
        self.dropout = nn.Dropout(dropout)

    def forward(self, base: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        """[B, base] and [B, source] to [B, base]; the source is not trained through this."""
        matrix = self.base_rotate_layer.matrix()
        shift = torch.matmul(base, matrix) - self.source_rotate_layer(source.detach())
        return self.dropout(torch.matmul(shift, matrix.t()) + base)


def orthonormal(parameters: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
    """A matrix with orthonormal columns, or rows where it is wide, from the free parameters of torch's ``orthogonal``.

    Square ones are matrix exponentials of skew-symmetric matrices, others products of Householder reflections.

    Args:
        parameters: [n, k].
        base: the matrix at the start, completed to a square one.

    Returns:
        [n, k].
    """
    rows, columns = parameters.shape
    tall = parameters.t() if rows < columns else parameters
    if rows == columns:
        lower = tall.tril()
        return torch.matmul(base, torch.matrix_exp(lower - lower.t()))
    reflectors = tall.tril(-1)
    scales = 2.0 / (1.0 + torch.sum(reflectors * reflectors, dim=0))
    # Signs of the reflections lie on the diagonal; whole numbers, so that no optimizer moves them.
    signs = tall.diagonal().to(torch.int32)
    found = torch.matmul(base, torch.linalg.householder_product(reflectors, scales) * signs)
    return found.t() if rows < columns else found
