"""One level of progressive layered extraction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from recinfer.errors import ConfigError
from recinfer.nn.experts import mix
from recinfer.nn.mlp import MLP


class ExtractionNetwork(nn.Module):
    """Experts of each task and experts that all share, mixed by gates (Tang et al., RecSys 2020, PLE).

    A task's gate mixes its own and the shared experts; the shared gate, which the last level does not have, mixes all.

    Args:
        task_features: width of each task's input.
        shared_features: width of the shared input.
        config: the ``ExtractionNetwork`` message.
        last: whether no other level follows.

    Raises:
        ConfigError: experts are missing, or differ in width.
    """

    def __init__(self, task_features: Sequence[int], shared_features: int, config: Any, last: bool) -> None:
        super().__init__()
        _check(config)
        own, shared = config.expert_num_per_task, config.share_num
        self.out_features = int(config.task_expert_net.hidden_units[-1])
        self._shared_layers = nn.ModuleList(
            MLP.from_config(shared_features, config.share_expert_net) for _ in range(shared)
        )
        self.has_shared_gate = not last
        if self.has_shared_gate:
            self._shared_gate = nn.Linear(shared_features, len(task_features) * own + shared)
        self._task_layers = nn.ModuleList(
            nn.ModuleList(MLP.from_config(width, config.task_expert_net) for _ in range(own)) for width in task_features
        )
        self._task_gates = nn.ModuleList(nn.Linear(width, own + shared) for width in task_features)

    def forward(self, tasks: Sequence[torch.Tensor], shared: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        """[B, width] per task and [B, shared_features] to [B, out_features] per task and shared.

        The last level returns its shared input as it is.
        """
        shared_experts = [expert(shared) for expert in self._shared_layers]
        all_experts: list[torch.Tensor] = []
        out = []
        for x, experts, gate in zip(tasks, self._task_layers, self._task_gates, strict=True):
            assert isinstance(experts, nn.ModuleList)
            own = [expert(x) for expert in experts]
            all_experts.extend(own)
            out.append(mix(gate(x), [*own, *shared_experts]))
        if self.has_shared_gate:
            shared = mix(self._shared_gate(shared), [*all_experts, *shared_experts])
        return out, shared


def _check(config: Any) -> None:
    where = f"extraction network {config.network_name!r}"
    if config.expert_num_per_task < 1:
        raise ConfigError(f"{where} has no experts of its tasks", "set expert_num_per_task to at least 1")
    if config.share_num and not config.HasField("share_expert_net"):
        raise ConfigError(f"{where} has share_num and no share_expert_net", "add the MLP of the shared experts")
    own = list(config.task_expert_net.hidden_units[-1:])
    shared = list(config.share_expert_net.hidden_units[-1:])
    if not own or (config.share_num and own != shared):
        raise ConfigError(
            f"{where}: task experts end in {own} units, shared ones in {shared}", "a gate mixes experts of one width"
        )
