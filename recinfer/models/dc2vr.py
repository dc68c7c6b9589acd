"""Deconfounded conversion rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from recinfer.features.base import Feature
from recinfer.models.base import Tensors
from recinfer.models.shared_bottom import SharedBottomModel, check_earlier
from recinfer.nn.intervention import Intervention


class DC2VR(SharedBottomModel):
    """Tasks in whose representations earlier tasks intervene, in a low-rank subspace (as in ReFT, Wu et al., NeurIPS
    2024, arXiv:2404.03592), over a shared bottom and experts (MMoE) or none of these.

    Feature groups: the first one. A tower's ``intervention_tower_names`` stand before it; a tower without any is left
    as it is.
    """

    def __init__(self, config: Any, features: Sequence[Feature]) -> None:
        message = config.model_config.dc2vr
        super().__init__(config, features, message)
        self.sources = {
            tower.tower_name: list(tower.intervention_tower_names)
            for tower in message.task_towers
            if tower.intervention_tower_names
        }
        self.intervention = nn.ModuleDict()
        self.task_outputs = nn.ModuleList()
        done: list[str] = []
        for tower in message.task_towers:
            name, width = tower.tower_name, self.widths[tower.tower_name]
            if name in self.sources:
                check_earlier(self.sources[name], done, name, "intervention_tower_names")
                source = sum(self.widths[each] for each in self.sources[name])
                self.intervention[name] = Intervention(
                    width, source, tower.low_rank_dim, tower.dropout_ratio, f"tower {name!r}"
                )
            done.append(name)
            self.task_outputs.append(nn.Linear(width, tower.num_class))

    def predict(self, batch: Tensors) -> list[torch.Tensor]:
        """Raw scores of each task, [B, num_class]."""
        made: dict[str, torch.Tensor] = {}
        for name, own in self.representations(batch).items():
            made[name] = own
            if name in self.sources:
                source = torch.cat([made[each] for each in self.sources[name]], dim=1)
                made[name] = self.intervention[name](own, source)
        return [output(x) for output, x in zip(self.task_outputs, made.values(), strict=True)]
