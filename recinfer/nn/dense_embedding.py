"""Embeddings of dense features: a learned direction (``mlp``) or soft buckets (``autodis``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional


class Direction(nn.Module):
    """A learned vector that a scalar is multiplied with."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim).normal_(0, 0.05))

    def forward(self, scalar: torch.Tensor) -> torch.Tensor:
        """[B, 1] to [B, dim]."""
        return scalar * self.weight


class MLPEmbeddings(nn.Module):
    """Each scalar times a learned vector.

    Args:
        names: features, each of one value.
        embedding_dim: width of each embedding.
    """

    def __init__(self, names: Sequence[str], embedding_dim: int) -> None:
        super().__init__()
        self.names = list(names)
        for name in self.names:
            self.add_module(f"proj_w_{name}", Direction(embedding_dim))

    def forward(self, values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """[B, 1] per feature to [B, embedding_dim] per feature."""
        return {name: getattr(self, f"proj_w_{name}")(values[name]) for name in self.names}


class AutoDisEmbeddings(nn.Module):
    """Automatic discretization (Guo et al., KDD 2021, arXiv:2012.08986): a softmax over channels mixes meta embeddings.

    Args:
        names: features, each of one value.
        embedding_dim: width of each embedding.
        channels: meta embeddings per feature.
        temperature: of the softmax.
        keep_prob: factor of the skip connection.
    """

    def __init__(
        self, names: Sequence[str], embedding_dim: int, channels: int, temperature: float, keep_prob: float
    ) -> None:
        super().__init__()
        self.names = list(names)
        self.temperature = temperature
        self.keep_prob = keep_prob
        for name in self.names:
            self.add_module(f"proj_w_{name}", Direction(channels))
            self.add_module(f"meta_emb_{name}", nn.Linear(embedding_dim, channels, bias=False))
            self.add_module(f"proj_m_{name}", nn.Linear(channels, channels, bias=False))

    def forward(self, values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """[B, 1] per feature to [B, embedding_dim] per feature."""
        out: dict[str, torch.Tensor] = {}
        for name in self.names:
            hidden = functional.leaky_relu(getattr(self, f"proj_w_{name}")(values[name]))
            logits = getattr(self, f"proj_m_{name}")(hidden) + self.keep_prob * hidden
            weights = torch.softmax(logits / self.temperature, dim=1)
            out[name] = weights @ getattr(self, f"meta_emb_{name}").weight
        return out


class DenseEmbeddings(nn.Module):
    """The embeddings of all dense features of a group set, features of equal settings in one module.

    Args:
        settings: (feature name, its ``autodis`` or ``mlp`` message, embedding_dim).
    """

    def __init__(self, settings: Sequence[tuple[str, Any, int]]) -> None:
        super().__init__()
        members: dict[str, list[tuple[str, Any, int]]] = {}
        for name, message, dim in settings:
            members.setdefault(_module_name(message, dim), []).append((name, message, dim))
        self.dense_embs = nn.ModuleDict({key: _build(entries) for key, entries in members.items()})

    def forward(self, values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """[B, 1] per feature to [B, embedding_dim] per feature."""
        out: dict[str, torch.Tensor] = {}
        for module in self.dense_embs.values():
            out.update(module(values))
        return out


def _build(entries: list[tuple[str, Any, int]]) -> nn.Module:
    names = [name for name, _, _ in entries]
    _, message, dim = entries[0]
    if message.DESCRIPTOR.name == "MLPEmbedding":
        return MLPEmbeddings(names, dim)
    return AutoDisEmbeddings(names, dim, message.num_channels, message.temperature, message.keep_prob)


def _module_name(message: Any, dim: int) -> str:
    """The reference's name of the module: it spells the settings that make features share it."""
    if message.DESCRIPTOR.name == "MLPEmbedding":
        return f"mlp#{dim}"
    return f"autodis#{dim}#{message.num_channels}#{_decimals(message.keep_prob)}#{_decimals(message.temperature)}"


def _decimals(value: float) -> str:
    return f"{value:.6f}".replace(".", "_")
