"""Wukong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from recinfer.errors import ConfigError
from recinfer.features.base import Feature
from recinfer.models.base import RankModel, Tensors
from recinfer.models.dense_and_sparse import DenseAndSparse
from recinfer.nn.mlp import MLP
from recinfer.nn.wukong import WuKongLayer


class WuKong(RankModel):
    """Stacked factorization machines (Zhang et al., ICML 2024, arXiv:2403.02545).

    Feature groups: ``sparse`` (embeddings of one width; any name where it is the only group), ``dense`` (optional).
    """

    def __init__(self, config: Any, features: Sequence[Feature]) -> None:
        message = config.model_config.wukong
        super().__init__(config, features, message)
        if not message.wukong_layers:
            raise ConfigError("WuKong has no wukong_layers", "add one or more")
        self.layout = DenseAndSparse(self.embedding_group, message, "WuKong")
        if self.layout.has_dense:
            self.dense_mlp = self.layout.build_dense_mlp(self.embedding_group, message)
        count = self.layout.features
        self._wukong_layers = nn.ModuleList()
        for layer_config in message.wukong_layers:
            layer = WuKongLayer(self.layout.dim, count, layer_config)
            self._wukong_layers.append(layer)
            count = layer.out_features
        self.final_mlp = MLP.from_config(count * self.layout.dim, message.final)
        self.output_mlp = nn.Linear(self.final_mlp.out_features, self.tasks[0].num_class)

    def predict(self, batch: Tensors) -> list[torch.Tensor]:
        """Raw scores, [B, num_class]."""
        groups = self.inputs(batch)
        dense = [self.dense_mlp(groups["dense"])] if self.layout.has_dense else []
        features = self.layout.stack(dense, groups[self.layout.sparse_group])
        for layer in self._wukong_layers:
            features = layer(features)
        return [self.output_mlp(self.final_mlp(features.flatten(1)))]
