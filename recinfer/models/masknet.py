"""MaskNet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from recinfer.features.base import Feature
from recinfer.models.base import RankModel, Tensors
from recinfer.nn.mask_net import MaskNetModule


class MaskNet(RankModel):
    """Layers whose inputs are masked by the embeddings (Wang et al., DLP-KDD 2021, arXiv:2102.07619).

    Feature groups: the first one.
    """

    def __init__(self, config: Any, features: Sequence[Feature]) -> None:
        message = config.model_config.mask_net
        super().__init__(config, features, message)
        width = self.embedding_group.total_dim(self.first_group)
        self.mask_net_layer = MaskNetModule(width, message.mask_net_module)
        self.output_linear = nn.Linear(self.mask_net_layer.out_features, self.tasks[0].num_class, bias=False)

    def predict(self, batch: Tensors) -> list[torch.Tensor]:
        """Raw scores, [B, num_class]."""
        return [self.output_linear(self.mask_net_layer(self.inputs(batch)[self.first_group]))]
