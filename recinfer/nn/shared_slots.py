"""Zero-collision tables that many ranks learn together: each has the whole mapping, and sees the ids of all.

So every rank chooses the same ids, as one process would that had all rows, and the rows of a table lie anywhere.
torchrec's own way, where ranks own ranges of ids, makes the mapping depend on the number of ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torchrec.modules.mc_embedding_modules import BaseManagedCollisionEmbeddingCollection
from torchrec.sparse.jagged_tensor import JaggedTensor

from recinfer.nn.id_slots import IdSlots
from recinfer.nn.lookups import Lookups, look_up_in
from recinfer.nn.settled_tables import SettledTables, replace_managed

# The ids of some lookups, each [n], to those of all ranks, in the order of ranks.
Gather = Callable[[Sequence[torch.Tensor]], list[torch.Tensor]]
# Told which rows of a table have got another id: (table, looked up id by id, rows).
Restart = Callable[[str, bool, torch.Tensor], None]


class SharedSlots(SettledTables):
    """Takes the place of one of torchrec's managed collections in training.

    Args:
        managed: the collection; its tables may have no memory yet.
        gather: a collective.
        is_sequence: whether ids are looked up one by one.

    Attributes:
        restart: to be set once the tables are sharded.
    """

    def __init__(self, managed: BaseManagedCollisionEmbeddingCollection, gather: Gather, is_sequence: bool) -> None:
        super().__init__(managed)
        self.restart: Restart | None = None
        self._gather = gather
        self._is_sequence = is_sequence

    def forward(self, lookups: Lookups) -> Any:
        """What the tables give for ids; in training the ids are noted first."""
        if self.training:
            self._learn(lookups)
        return look_up_in(self.tables, self.rows_of(lookups))

    def rows_of(self, lookups: Lookups) -> Lookups:
        """Rows in place of ids, by the mappings as they are now."""
        return replace(lookups, ids=[self._rows(*each) for each in zip(lookups.keys, lookups.ids, strict=True)])

    def _rows(self, key: str, ids: torch.Tensor) -> torch.Tensor:
        slots = self._slots._managed_collision_modules[self._slots._feature_to_table[key]]
        rows: torch.Tensor = slots.remap({key: _flat(ids)})[key].values()
        return rows

    @torch.no_grad()
    def _learn(self, lookups: Lookups) -> None:
        """Lets each table's policy see the ids of all ranks, and restarts the rows that change hands."""
        assert self.restart is not None
        everyone = dict(zip(lookups.keys, self._gather(lookups.ids), strict=True))
        for table, slots in self._slots._managed_collision_modules.items():
            assert isinstance(slots, IdSlots)
            keys = [key for key in lookups.keys if self._slots._feature_to_table[key] == table]
            ids = torch.cat([everyone[key] for key in keys])
            slots.profile({table: _flat(ids)})
            rows = slots.evict()
            if rows is not None and rows.numel():
                self.restart(table, self._is_sequence, rows)


def _flat(ids: torch.Tensor) -> JaggedTensor:
    """Ids as torchrec's mappings take them, which look at nothing else."""
    return JaggedTensor(values=ids, lengths=torch.ones_like(ids, dtype=torch.int32))


def share_slots(model: torch.nn.Module, gather: Gather) -> list[SharedSlots]:
    """Puts :class:`SharedSlots` into a model that is not sharded yet, and makes its tables ordinary ones whose rows
    lie whole on one rank each.

    Returns:
        All of them; ``restart`` is left to set.
    """
    return replace_managed(
        model,
        lambda managed, is_sequence: SharedSlots(managed, gather, is_sequence),
        lambda table: setattr(table, "whole_rows", True),
    )
