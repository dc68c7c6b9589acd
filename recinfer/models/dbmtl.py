"""Deep Bayesian multi-target learning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from recinfer.features.base import Feature
from recinfer.models.base import Tensors
from recinfer.models.shared_bottom import SharedBottomModel, check_earlier
from recinfer.nn.mlp import MLP


class DBMTL(SharedBottomModel):
    """Tasks that read the representations of tasks before them (Wang et al., 2019, arXiv:1902.09154), over a shared
    bottom, a mask net (arXiv:2102.07619) and experts (MMoE) or none of these.

    Feature groups: the first one. A tower with a ``relation_mlp`` reads its own representation beside those of its
    ``relation_tower_names``, which stand before it.
    """

    def __init__(self, config: Any, features: Sequence[Feature]) -> None:
        message = config.model_config.dbmtl
        super().__init__(config, features, message)
        self.relations = {
            tower.tower_name: list(tower.relation_tower_names)
            for tower in message.task_towers
            if tower.HasField("relation_mlp")
        }
        self.relation_mlps = nn.ModuleDict()
        self.task_outputs = nn.ModuleList()
        done: dict[str, int] = {}
        for tower in message.task_towers:
            name, width = tower.tower_name, self.widths[tower.tower_name]
            if name in self.relations:
                check_earlier(self.relations[name], list(done), name, "relation_tower_names")
                relation = MLP.from_config(width + sum(done[each] for each in self.relations[name]), tower.relation_mlp)
                self.relation_mlps[name] = relation
                width = relation.out_features
            done[name] = width
            self.task_outputs.append(nn.Linear(width, tower.num_class))

    def predict(self, batch: Tensors) -> list[torch.Tensor]:
        """Raw scores of each task, [B, num_class]."""
        related: dict[str, torch.Tensor] = {}
        for name, own in self.representations(batch).items():
            related[name] = own
            if name in self.relations:
                others = [related[each] for each in self.relations[name]]
                related[name] = self.relation_mlps[name](torch.cat([own, *others], dim=1))
        return [output(x) for output, x in zip(self.task_outputs, related.values(), strict=True)]
