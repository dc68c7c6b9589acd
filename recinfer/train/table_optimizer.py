"""The optimizer that lives inside the embedding kernels: its learning rate and its initial state."""

from __future__ import annotations

import torch
from torchrec.optim.keyed import KeyedOptimizer

from recinfer.distributed.shards import local_parts
from recinfer.train.optimizer_state import fused_state
from recinfer.train.schedules import Schedule


class TableOptimizer:
    """Sets the rate of what the backward pass does to tables; tables of rate 0 are frozen and stay so.

    Args:
        fused: the ``fused_optimizer`` of a sharded model.
        schedule: learning rate.
        initial_state: value that the accumulators start from.
    """

    def __init__(self, fused: KeyedOptimizer, schedule: Schedule, initial_state: float) -> None:
        self.fused, self.schedule = fused, schedule
        self._learning = [group for group in fused.param_groups if group["lr"] != 0.0]
        if initial_state:
            with torch.no_grad():
                for state in fused_state(fused).values():
                    for _, part in local_parts(state):
                        part.fill_(initial_state)

    def set_rate(self, rate: float) -> None:
        """Sets the rate of the next backward pass."""
        for group in self._learning:
            group["lr"] = rate
        self.fused.step()
