"""The lower half of DBMTL and DC2VR: a shared bottom, experts or none, and an MLP per task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from recinfer.errors import ConfigError
from recinfer.features.base import Feature
from recinfer.models.base import Tensors
from recinfer.models.multi_task import MultiTaskModel
from recinfer.nn.experts import MultiGateExperts
from recinfer.nn.mask_net import MaskNetModule
from recinfer.nn.mlp import MLP


class SharedBottomModel(MultiTaskModel):
    """Makes one representation per task from the first feature group: mask net, bottom MLP, experts and task MLPs,
    each where the config has it.

    Attributes:
        widths: of each task's representation, by tower name.
    """

    def __init__(self, config: Any, features: Sequence[Feature], message: Any) -> None:
        super().__init__(config, features, message)
        width = self.embedding_group.total_dim(self.first_group)
        self.has_mask_net = "mask_net" in message.DESCRIPTOR.fields_by_name and message.HasField("mask_net")
        self.has_bottom, self.has_experts = message.HasField("bottom_mlp"), message.HasField("expert_mlp")
        if self.has_mask_net:
            self.mask_net = MaskNetModule(width, message.mask_net)
            width = self.mask_net.out_features
        if self.has_bottom:
            self.bottom_mlp = MLP.from_config(width, message.bottom_mlp)
            width = self.bottom_mlp.out_features
        if self.has_experts:
            self.mmoe = MultiGateExperts(width, message, len(self.tasks))
            width = self.mmoe.out_features
        self.task_mlps = nn.ModuleDict()
        self.widths: dict[str, int] = {}
        for tower in message.task_towers:
            self.widths[tower.tower_name] = width
            if tower.HasField("mlp"):
                mlp = MLP.from_config(width, tower.mlp)
                self.task_mlps[tower.tower_name] = mlp
                self.widths[tower.tower_name] = mlp.out_features

    def representations(self, batch: Tensors) -> dict[str, torch.Tensor]:
        """[B, width] per tower."""
        x = self.inputs(batch)[self.first_group]
        if self.has_mask_net:
            x = self.mask_net(x)
        if self.has_bottom:
            x = self.bottom_mlp(x)
        per_task = self.mmoe(x) if self.has_experts else [x] * len(self.tasks)
        names = [task.name for task in self.tasks]
        return {
            name: self.task_mlps[name](given) if name in self.task_mlps else given
            for name, given in zip(names, per_task, strict=True)
        }


def check_earlier(names: Sequence[str], earlier: Sequence[str], tower: str, field: str) -> None:
    """Refuses a tower that reads towers which do not stand before it.

    Raises:
        ConfigError: names the tower and the field.
    """
    for name in names:
        if name not in earlier:
            raise ConfigError(
                f"tower {tower!r} names {name!r} in {field}, which does not stand before it",
                f"name towers above it: {', '.join(earlier) or 'there are none'}",
            )
