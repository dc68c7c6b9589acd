"""xDeepFM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from recinfer.features.base import Feature
from recinfer.models.base import RankModel, Tensors, common_dim
from recinfer.nn.compressed_interaction import CompressedInteraction
from recinfer.nn.mlp import MLP


class XDeepFM(RankModel):
    """A compressed interaction network beside an MLP (Lian et al., KDD 2018, arXiv:1803.05170).

    Feature groups: ``wide`` (for the interactions, embeddings of one width), ``deep``.
    """

    def __init__(self, config: Any, features: Sequence[Feature]) -> None:
        message = config.model_config.xdeepfm
        super().__init__(config, features, message)
        group = self.embedding_group
        self.wide_features, self.wide_dim = common_dim(group, "wide", "xDeepFM")
        self.deep = MLP.from_config(group.total_dim("deep"), message.deep)
        self.cin = CompressedInteraction(self.wide_features, list(message.cin.cin_layer_size))
        self.final = MLP.from_config(self.deep.out_features + self.cin.out_features, message.final)
        self.output_mlp = nn.Linear(self.final.out_features, self.tasks[0].num_class)

    def predict(self, batch: Tensors) -> list[torch.Tensor]:
        """Raw scores, [B, num_class]."""
        groups = self.inputs(batch)
        interactions = self.cin(groups["wide"].unflatten(1, (self.wide_features, self.wide_dim)))
        both = torch.cat([interactions, self.deep(groups["deep"])], dim=1)
        return [self.output_mlp(self.final(both))]
