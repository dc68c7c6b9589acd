"""Deep & Cross Network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from recinfer.features.base import Feature
from recinfer.models.base import RankModel, Tensors
from recinfer.nn.cross import Cross
from recinfer.nn.mlp import MLP


class DCNV1(RankModel):
    """A cross network beside an MLP (Wang et al., ADKDD 2017, arXiv:1708.05123).

    Feature groups: the first one.
    """

    def __init__(self, config: Any, features: Sequence[Feature]) -> None:
        message = config.model_config.dcn_v1
        super().__init__(config, features, message)
        width = self.embedding_group.total_dim(self.first_group)
        self.cross = Cross(width, message.cross.cross_num)
        self.deep = MLP.from_config(width, message.deep)
        self.final_dnn = MLP.from_config(width + self.deep.out_features, message.final)
        self.output_linear = nn.Linear(self.final_dnn.out_features, self.tasks[0].num_class, bias=False)

    def predict(self, batch: Tensors) -> list[torch.Tensor]:
        """Raw scores, [B, num_class]."""
        group = self.inputs(batch)[self.first_group]
        both = torch.cat([self.cross(group), self.deep(group)], dim=1)
        return [self.output_linear(self.final_dnn(both))]
