"""Intervention of one task's representation in another's."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.utils.parametrizations import orthogonal

from recinfer.errors import ConfigError


class OrthogonalMap(nn.Module):
    """A linear map to fewer dimensions whose columns stay orthonormal in training.

    ``torch.nn.utils.parametrizations`` holds the parameters and initialises them; :func:`reflected` and :func:`rotated`
    turn them into the matrix by operators that a trace can hold. It is not called itself: a tracer takes parametrized
    modules for torch's own and would not look inside.

    Args:
        before, after: widths.
    """

    weight: torch.Tensor

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.before, self.after = before, after
        self.weight = nn.Parameter(nn.init.orthogonal_(torch.empty(before, after)))
        orthogonal(self, "weight")

    def matrix(self) -> torch.Tensor:
        """[before, after]."""
        held: Any = self.parametrizations["weight"]  # type: ignore[index]
        if self.before == self.after:
            return rotated(held.original, held[0].base)
        if self.before < self.after:
            return reflected(held.original.t(), held[0].base).t()
        return reflected(held.original, held[0].base)


class ConstantMap(nn.Module):
    """An orthogonal map that learns no more, for compilers that know nothing of reflections.

    Args:
        matrix: [before, after].
    """

    def __init__(self, matrix: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(matrix.detach().clone(), requires_grad=False)

    def matrix(self) -> torch.Tensor:
        """[before, after]."""
        return self.weight


def with_constant_maps(model: nn.Module) -> nn.Module:
    """The model itself, with its orthogonal maps worked out."""
    with torch.no_grad():
        for name, module in list(model.named_modules()):
            if isinstance(module, OrthogonalMap):
                model.set_submodule(name, ConstantMap(module.matrix()))
    return model


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
        shift = torch.matmul(base, matrix) - torch.matmul(source.detach(), self.source_rotate_layer.matrix())
        return self.dropout(torch.matmul(shift, matrix.t()) + base)


def reflected(parameters: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
    """A tall matrix with orthonormal columns: a product of Householder reflections, one per column.

    Args:
        parameters: [n, k]. Below the diagonal lie the reflections, on it signs, as whole numbers.
        base: the matrix at the start, completed to an orthogonal one: [n, n].

    Returns:
        [n, k].
    """
    reflections = parameters.tril(-1)
    scales = 2.0 / (1.0 + torch.sum(reflections * reflections, dim=0))
    signs = parameters.diagonal().to(torch.int32)
    return torch.matmul(base, torch.linalg.householder_product(reflections, scales) * signs)


def rotated(parameters: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
    """A square orthogonal matrix: the exponential of a skew-symmetric one.

    Args:
        parameters: [n, n], of which the lower triangle counts.
        base: the matrix at the start, [n, n].

    Returns:
        [n, n].
    """
    lower = parameters.tril()
    return torch.matmul(base, torch.matrix_exp(lower - lower.t()))
