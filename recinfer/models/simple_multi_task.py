"""Towers over one shared input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from recinfer.features.base import Feature
from recinfer.models.base import Tensors
from recinfer.models.multi_task import MultiTaskModel
from recinfer.nn.task_tower import TaskTower


class SimpleMultiTask(MultiTaskModel):
    """One tower per task that share nothing but embeddings (hard sharing: Caruana, Machine Learning 28, 1997).

    Feature groups: the first one.
    """

    def __init__(self, config: Any, features: Sequence[Feature]) -> None:
        message = config.model_config.simple_multi_task
        super().__init__(config, features, message)
        width = self.embedding_group.total_dim(self.first_group)
        self._task_tower = nn.ModuleList(TaskTower(width, tower) for tower in message.task_towers)

    def predict(self, batch: Tensors) -> list[torch.Tensor]:
        """Raw scores of each task, [B, num_class]."""
        group = self.inputs(batch)[self.first_group]
        return [tower(group) for tower in self._task_tower]
