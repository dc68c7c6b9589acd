"""The inputs of models that turn all dense features into one more embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from recinfer.errors import ConfigError
from recinfer.models.base import common_dim
from recinfer.nn.embedding_group import EmbeddingGroup
from recinfer.nn.mlp import MLP


class DenseAndSparse:
    """How the groups ``dense`` and ``sparse`` of DLRM and WuKong lie.

    Args:
        groups: the model's.
        message: the model's; has ``dense_mlp``.
        model: its name, for messages.

    Attributes:
        sparse_group: name of the group of embeddings: ``sparse``, or that of the only group.
        has_dense: whether there is a group ``dense``.
        sparse_features, dim: embeddings of ``sparse_group`` and their width.
        features: embeddings, the one of the dense features among them.

    Raises:
        ConfigError: a group is missing, or widths differ.
    """

    def __init__(self, groups: EmbeddingGroup, message: Any, model: str) -> None:
        names = list(groups.group_types)
        self.sparse_group = names[0] if len(names) == 1 else "sparse"
        self.has_dense = len(names) > 1 and "dense" in names
        self.sparse_features, self.dim = common_dim(groups, self.sparse_group, model)
        self.features = self.sparse_features + int(self.has_dense)
        if self.has_dense and not message.HasField("dense_mlp"):
            raise ConfigError(f"{model} has a group 'dense' and no dense_mlp", f"add one that ends in {self.dim} units")
        units = list(message.dense_mlp.hidden_units)
        if self.has_dense and units[-1:] != [self.dim]:
            raise ConfigError(
                f"{model}: dense_mlp ends in {units[-1:]} units, and group {self.sparse_group!r} is {self.dim} wide",
                "make the last of hidden_units the embedding_dim",
            )

    def build_dense_mlp(self, groups: EmbeddingGroup, message: Any) -> MLP:
        """The MLP of the dense features."""
        return MLP.from_config(groups.total_dim("dense"), message.dense_mlp)

    def stack(self, dense: Sequence[torch.Tensor], sparse: torch.Tensor) -> torch.Tensor:
        """The dense vector [B, dim], where there is one, and the sparse group to [B, features, dim]."""
        features = sparse.unflatten(1, (self.sparse_features, self.dim))
        return torch.cat([*(vector.unsqueeze(1) for vector in dense), features], dim=1)
