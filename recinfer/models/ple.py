"""Progressive layered extraction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from recinfer.errors import ConfigError
from recinfer.features.base import Feature
from recinfer.models.base import Tensors
from recinfer.models.multi_task import MultiTaskModel
from recinfer.nn.extraction import ExtractionNetwork
from recinfer.nn.task_tower import TaskTower


class PLE(MultiTaskModel):
    """Levels of experts, of each task and shared, and a tower per task (Tang et al., RecSys 2020,
    doi:10.1145/3383313.3412236).

    Feature groups: the first one.
    """

    def __init__(self, config: Any, features: Sequence[Feature]) -> None:
        message = config.model_config.ple
        super().__init__(config, features, message)
        if not message.extraction_networks:
            raise ConfigError("PLE has no extraction_networks", "add one per level")
        task_width = shared_width = self.embedding_group.total_dim(self.first_group)
        self._extraction_nets = nn.ModuleList()
        for level, network in enumerate(message.extraction_networks, start=1):
            last = level == len(message.extraction_networks)
            made = ExtractionNetwork([task_width] * len(self.tasks), shared_width, network, last)
            self._extraction_nets.append(made)
            task_width = shared_width = made.out_features
        self._task_tower = nn.ModuleList(TaskTower(task_width, tower) for tower in message.task_towers)

    def predict(self, batch: Tensors) -> list[torch.Tensor]:
        """Raw scores of each task, [B, num_class]."""
        shared = self.inputs(batch)[self.first_group]
        tasks = [shared] * len(self.tasks)
        for network in self._extraction_nets:
            tasks, shared = network(tasks, shared)
        return [tower(x) for tower, x in zip(self._task_tower, tasks, strict=True)]
