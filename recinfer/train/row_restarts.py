"""Rows of sharded tables that start anew for another id: weights, and the state of their optimizer."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torchrec.optim.keyed import KeyedOptimizer

from recinfer.distributed.shards import local_parts
from recinfer.nn.initial_rows import fresh_rows
from recinfer.nn.model_tables import PlacedTable, table_of_weight, tables_of
from recinfer.train.optimizer_state import fused_state


class RowRestarts:
    """Restarts the rows that this rank holds.

    Args:
        module: a sharded model.
        fused: the optimizer of its tables.
        initial_state: value that accumulators start from.
    """

    def __init__(self, module: nn.Module, fused: KeyedOptimizer, initial_state: float) -> None:
        self._initial_state = initial_state
        self._held: dict[tuple[str, bool], tuple[PlacedTable, Any, list[Any]]] = {}
        tables, states = tables_of(module), fused_state(fused)
        for name, weight in module.state_dict().items():
            placed = table_of_weight(name, tables)
            if placed is not None:
                mine = [state for key, state in states.items() if key.startswith(f"state.{name}.")]
                self._held[placed.table.name, placed.is_sequence] = placed, weight, mine

    @torch.no_grad()
    def __call__(self, table: str, is_sequence: bool, rows: torch.Tensor) -> None:
        """Restarts some rows of a table, as numbered in the whole of it."""
        placed, weight, states = self._held[table, is_sequence]
        for part, mine in _inside(weight, rows):
            part[mine] = fresh_rows(placed, len(mine)).to(part)
        for state in states:
            for part, mine in _inside(state, rows):
                part[mine] = self._initial_state


def _inside(tensor: Any, rows: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """(memory, rows inside it) of the parts that this rank holds."""
    found = []
    for offsets, part in local_parts(tensor):
        here = rows[(rows >= offsets[0]) & (rows < offsets[0] + part.shape[0])] - offsets[0]
        found.append((part, here))
    return found
