"""DeepFM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from recinfer.errors import ConfigError
from recinfer.features.base import Feature
from recinfer.models.base import RankModel, Tensors
from recinfer.nn.fm import FactorizationMachine
from recinfer.nn.mlp import MLP


class DeepFM(RankModel):
    """A linear part, a factorization machine and an MLP side by side (Guo et al., IJCAI 2017, arXiv:1703.04247).

    Feature groups: ``deep`` (any features), ``fm`` (embeddings of one width; without it
    ``deep`` serves, if all of it is embedded), ``wide`` (optional). Without ``final``, the parts' scores are added.
    """

    def __init__(self, config: Any, features: Sequence[Feature]) -> None:
        message = config.model_config.deepfm
        super().__init__(config, features, message)
        group = self.embedding_group
        self.fm_group = "fm" if "fm" in group.group_types else "deep"
        self.has_wide = "wide" in group.group_types
        dims = group.dims(self.fm_group)
        if len(set(dims)) != 1:
            raise ConfigError(
                f"DeepFM: features of group {self.fm_group!r} have the dims {sorted(set(dims))}",
                "a factorization machine needs one embedding_dim for all; name such features in a group `fm`",
            )
        self.fm_features, self.fm_dim = len(dims), dims[0]
        self.fm = FactorizationMachine()
        self.deep_mlp = MLP.from_config(group.total_dim("deep"), message.deep)
        self.has_final = message.HasField("final")
        width = self.deep_mlp.out_features
        if self.has_final:
            self.final_mlp = MLP.from_config(width + self.fm_dim + int(self.has_wide), message.final)
            width = self.final_mlp.out_features
        self.output_mlp = nn.Linear(width, self.tasks[0].num_class)

    def predict(self, batch: Tensors) -> list[torch.Tensor]:
        """Raw scores, [B, num_class]."""
        groups = self.inputs(batch)
        fm = self.fm(groups[self.fm_group].unflatten(1, (self.fm_features, self.fm_dim)))
        deep = self.deep_mlp(groups["deep"])
        wide = [torch.sum(groups["wide"], dim=1, keepdim=True)] if self.has_wide else []
        if self.has_final:
            return [self.output_mlp(self.final_mlp(torch.cat([*wide, fm, deep], dim=1)))]
        score = self.output_mlp(deep) + torch.sum(fm, dim=1, keepdim=True)
        return [score + wide[0] if wide else score]
