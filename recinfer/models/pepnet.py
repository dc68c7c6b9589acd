"""Parameter and embedding personalized network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from recinfer.errors import ConfigError
from recinfer.features.base import Feature
from recinfer.models.base import Task, Tensors
from recinfer.models.multi_task import MultiTaskModel
from recinfer.nn.personalized import EPNet, PPNet
from recinfer.nn.task_tower import TaskTower


class PEPNet(MultiTaskModel):
    """Gates that know domain and user scale embeddings and layers (Chang et al., KDD 2023, arXiv:2302.01115).

    Feature groups: ``all``, ``domain`` (optional: gates on the embeddings), ``uia`` (optional: user, item and author
    features, for gates on each task's layers). With ``domain_input_name``, each task has a tower per domain, its
    predictions are called ``<tower>_<domain>``, and it learns from the rows whose label of that name is the domain.
    """

    def __init__(self, config: Any, features: Sequence[Feature]) -> None:
        message = config.model_config.pepnet
        super().__init__(config, features, message)
        group = self.embedding_group
        width = main = group.total_dim("all")
        self.has_domain, self.has_uia = "domain" in group.group_types, "uia" in group.group_types
        if self.has_domain:
            hidden = message.epnet_hidden_unit if message.HasField("epnet_hidden_unit") else main
            self.epnet = EPNet(main, group.total_dim("domain"), hidden, message.epnet_gamma)
        if self.has_uia:
            self.ppnet = PPNet(
                main,
                group.total_dim("uia"),
                len(self.tasks),
                list(message.ppnet_hidden_units),
                message.ppnet_activation,
                list(message.ppnet_dropout_ratio),
                message.ppnet_gamma,
            )
            width = self.ppnet.out_features
        self.towers = len(self.tasks)
        self.domains = 1
        if message.domain_input_name:
            self.domains = message.task_domain_num
            self.tasks = _domain_tasks(self.tasks, message.domain_input_name, self.domains)
        self._task_tower = nn.ModuleList(
            TaskTower(width, tower) for tower in message.task_towers for _ in range(self.domains)
        )

    def predict(self, batch: Tensors) -> list[torch.Tensor]:
        """Raw scores of each task, of each domain in turn, [B, num_class]."""
        groups = self.inputs(batch)
        main = self.epnet(groups["all"], groups["domain"]) if self.has_domain else groups["all"]
        per_task = self.ppnet(main, groups["uia"]) if self.has_uia else [main] * self.towers
        return [tower(per_task[place // self.domains]) for place, tower in enumerate(self._task_tower)]


def _domain_tasks(tasks: Sequence[Task], label: str, domains: int) -> list[Task]:
    if domains < 1:
        raise ConfigError("PEPNet has domain_input_name and task_domain_num 0", "set it to the number of domains")
    return [
        replace(task, name=f"{task.name}_{domain}", only_where=(label, domain))
        for task in tasks
        for domain in range(domains)
    ]
