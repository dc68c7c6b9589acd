"""Tables for inference whose ids are mapped to rows by what training learnt."""

# No postponed annotations here: TorchScript wants those of a module's tensors evaluated.
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torchrec.modules.mc_modules import MCHManagedCollisionModule

from recinfer.nn.lookups import Lookups, look_up_in


class SlotRemap(nn.Module):
    """A finished mapping from ids to rows: binary search in sorted ids; unknown ids get the last row.

    Args:
        ids: known ids, ascending, int64 [rows]; free rows hold the largest int64.
        slots: the row of each, int64 [rows].
    """

    ids: torch.Tensor
    slots: torch.Tensor

    def __init__(self, ids: torch.Tensor, slots: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("ids", ids.clone())
        self.register_buffer("slots", slots.clone())
        self.unknown = ids.numel() - 1

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Ids, int64 [n], to rows, int64 [n]."""
        # The last place stands for everything unknown, so no search may end behind it.
        places = torch.searchsorted(self.ids[:-1], values)
        return torch.where(self.ids[places] == values, self.slots[places], torch.full_like(places, self.unknown))


def finished(slots: MCHManagedCollisionModule) -> SlotRemap:
    """What a mapping gives in eval mode, frozen."""
    return SlotRemap(slots.get_buffer("_mch_sorted_raw_ids"), slots.get_buffer("_mch_remapped_ids_mapping"))


class RemappedTables(nn.Module):
    """A collection of tables behind finished mappings; takes the place of torchrec's managed collections.

    Args:
        tables: an embedding-bag collection or embedding collection for inference.
        remaps: the mapping of each table.
        table_of: the table of each lookup.
    """

    takes_lookups = True

    def __init__(self, tables: nn.Module, remaps: Mapping[str, SlotRemap], table_of: Mapping[str, str]) -> None:
        super().__init__()
        self.tables = tables
        self.remaps = nn.ModuleDict(remaps)
        self.table_of = dict(table_of)

    def forward(self, lookups: Lookups) -> Any:
        """What ``tables`` give for the rows of the ids: a ``KeyedTensor``, or jagged tensors by key."""
        rows = [self.remaps[self.table_of[key]](ids) for key, ids in zip(lookups.keys, lookups.ids, strict=True)]
        return look_up_in(self.tables, replace(lookups, ids=rows))
