"""Deep & Cross Network, version 2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from recinfer.features.base import Feature
from recinfer.models.base import RankModel, Tensors
from recinfer.nn.cross import LowRankCross
from recinfer.nn.mlp import MLP


class DCNV2(RankModel):
    """A low-rank cross network, over a backbone MLP or not, beside an MLP or not (Wang et al., WWW 2021,
    arXiv:2008.13535).

    Feature groups: the first one.
    """

    def __init__(self, config: Any, features: Sequence[Feature]) -> None:
        message = config.model_config.dcn_v2
        super().__init__(config, features, message)
        width = crossed = self.embedding_group.total_dim(self.first_group)
        self.has_backbone, self.has_deep = message.HasField("backbone"), message.HasField("deep")
        if self.has_backbone:
            self.backbone = MLP.from_config(width, message.backbone)
            crossed = self.backbone.out_features
        self.cross = LowRankCross(crossed, message.cross.cross_num, message.cross.low_rank)
        final = crossed
        if self.has_deep:
            self.deep = MLP.from_config(width, message.deep)
            final += self.deep.out_features
        self.final = MLP.from_config(final, message.final)
        self.output_mlp = nn.Linear(self.final.out_features, self.tasks[0].num_class, bias=False)

    def predict(self, batch: Tensors) -> list[torch.Tensor]:
        """Raw scores, [B, num_class]."""
        group = self.inputs(batch)[self.first_group]
        hidden = self.cross(self.backbone(group) if self.has_backbone else group)
        if self.has_deep:
            hidden = torch.cat([hidden, self.deep(group)], dim=1)
        return [self.output_mlp(self.final(hidden))]
