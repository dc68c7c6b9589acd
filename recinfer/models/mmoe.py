"""Multi-gate mixture of experts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from recinfer.features.base import Feature
from recinfer.models.base import Tensors
from recinfer.models.multi_task import MultiTaskModel
from recinfer.nn.experts import MultiGateExperts
from recinfer.nn.task_tower import TaskTower


class MMoE(MultiTaskModel):
    """Shared experts, a gate and a tower per task (Ma et al., KDD 2018, doi:10.1145/3219819.3220007).

    Feature groups: the first one.
    """

    def __init__(self, config: Any, features: Sequence[Feature]) -> None:
        message = config.model_config.mmoe
        super().__init__(config, features, message)
        width = self.embedding_group.total_dim(self.first_group)
        self.mmoe = MultiGateExperts(width, message, len(self.tasks))
        self._task_tower = nn.ModuleList(TaskTower(self.mmoe.out_features, tower) for tower in message.task_towers)

    def predict(self, batch: Tensors) -> list[torch.Tensor]:
        """Raw scores of each task, [B, num_class]."""
        mixed = self.mmoe(self.inputs(batch)[self.first_group])
        return [tower(x) for tower, x in zip(self._task_tower, mixed, strict=True)]
