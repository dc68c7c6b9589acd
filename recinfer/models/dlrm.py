"""DLRM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from recinfer.features.base import Feature
from recinfer.models.base import RankModel, Tensors
from recinfer.models.dense_and_sparse import DenseAndSparse
from recinfer.nn.mlp import MLP
from recinfer.nn.pairwise_dot import PairwiseDot


class DLRM(RankModel):
    """Dot products of embeddings and an MLP of the dense features (Naumov et al., 2019, arXiv:1906.00091).

    Feature groups: ``sparse`` (embeddings of one width; any name where it is the only group), ``dense`` (optional).
    The final MLP reads the products, the dense vector and, with ``arch_with_sparse``, the embeddings.
    """

    def __init__(self, config: Any, features: Sequence[Feature]) -> None:
        message = config.model_config.dlrm
        super().__init__(config, features, message)
        self.layout = DenseAndSparse(self.embedding_group, message, "DLRM")
        if self.layout.has_dense:
            self.dense_mlp = self.layout.build_dense_mlp(self.embedding_group, message)
        self.interaction = PairwiseDot(self.layout.features)
        self.with_sparse = bool(message.arch_with_sparse)
        width = self.interaction.out_features
        width += self.layout.dim if self.layout.has_dense else 0
        width += self.layout.sparse_features * self.layout.dim if self.with_sparse else 0
        self.final_mlp = MLP.from_config(width, message.final)
        self.output_mlp = nn.Linear(self.final_mlp.out_features, self.tasks[0].num_class)

    def predict(self, batch: Tensors) -> list[torch.Tensor]:
        """Raw scores, [B, num_class]."""
        groups = self.inputs(batch)
        sparse = groups[self.layout.sparse_group]
        dense = [self.dense_mlp(groups["dense"])] if self.layout.has_dense else []
        products = self.interaction(self.layout.stack(dense, sparse))
        return [self.output_mlp(self.final_mlp(torch.cat([products, *dense, *([sparse] * self.with_sparse)], dim=1)))]
