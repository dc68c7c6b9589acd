"""Wide & Deep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from recinfer.features.base import Feature
from recinfer.models.base import RankModel, Tensors
from recinfer.nn.mlp import MLP


class WideAndDeep(RankModel):
    """A linear part beside an MLP (Cheng et al., DLRS 2016, arXiv:1606.07792).

    Feature groups: ``wide`` and ``deep``. Without ``final``, the parts' scores are added.
    """

    def __init__(self, config: Any, features: Sequence[Feature]) -> None:
        message = config.model_config.wide_and_deep
        super().__init__(config, features, message)
        self.embedding_group.dims("wide")
        self.deep_mlp = MLP.from_config(self.embedding_group.total_dim("deep"), message.deep)
        self.has_final = message.HasField("final")
        width = self.deep_mlp.out_features
        if self.has_final:
            self.final_mlp = MLP.from_config(width + 1, message.final)
            width = self.final_mlp.out_features
        self.output_mlp = nn.Linear(width, self.tasks[0].num_class)

    def predict(self, batch: Tensors) -> list[torch.Tensor]:
        """Raw scores, [B, num_class]."""
        groups = self.inputs(batch)
        wide = torch.sum(groups["wide"], dim=1, keepdim=True)
        deep = self.deep_mlp(groups["deep"])
        if self.has_final:
            return [self.output_mlp(self.final_mlp(torch.cat([wide, deep], dim=1)))]
        return [self.output_mlp(deep) + wide]
