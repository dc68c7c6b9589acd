"""Embedding tables that plain operators look up, for models that are compiled as a whole.

A compiled library calls plain operators by itself. Others, such as fbgemm's batched lookups, it can only have called by
torch's dispatcher, with the interpreter's lock held.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torchrec import JaggedTensor, KeyedTensor

from recinfer.nn import jagged
from recinfer.nn.lookups import Lookups


class FloatTable(nn.Module):
    """A table of floats.

    Args:
        weight: float32 or float16 [rows, dim].
    """

    weight: torch.Tensor

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Ids, int64 [n], to float32 [n, dim]."""
        return nn.functional.embedding(ids, self.weight).to(torch.float32)


class PackedTable(nn.Module):
    """A table of small whole numbers, with a scale and an offset per row.

    Args:
        weight: float [rows, dim]; ``dim`` a multiple of the numbers that a byte holds.
        bits: of a number: 8, 4 or 2.
    """

    packed: torch.Tensor
    scale: torch.Tensor
    lowest: torch.Tensor
    shifts: torch.Tensor

    def __init__(self, weight: torch.Tensor, bits: int) -> None:
        super().__init__()
        weight = weight.to(torch.float32)
        lowest = weight.amin(1, keepdim=True)
        scale = ((weight.amax(1, keepdim=True) - lowest) / (2**bits - 1)).clamp(min=1e-12)
        shifts = torch.arange(0, 8, bits)
        numbers = ((weight - lowest) / scale).round().to(torch.int32).unflatten(1, (-1, len(shifts)))
        self.mask = 2**bits - 1
        self.register_buffer("packed", (numbers << shifts).sum(2).to(torch.uint8))
        self.register_buffer("scale", scale)
        self.register_buffer("lowest", lowest)
        self.register_buffer("shifts", shifts.to(torch.int32))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Ids, int64 [n], to float32 [n, dim]."""
        taken = nn.functional.embedding(ids, self.packed).to(torch.int32)
        numbers = ((taken.unsqueeze(2) >> self.shifts) & self.mask).flatten(1).to(torch.float32)
        return numbers * nn.functional.embedding(ids, self.scale) + nn.functional.embedding(ids, self.lowest)


class PlainBags(nn.Module):
    """Pooled tables, in place of an embedding-bag collection.

    Args:
        tables: by name.
        outputs: feature and table of each output, by its key.
        means: names of tables that are pooled by the mean; others by the sum.
    """

    takes_lookups = True

    def __init__(
        self, tables: Mapping[str, nn.Module], outputs: Mapping[str, tuple[str, str]], means: frozenset[str]
    ) -> None:
        super().__init__()
        self.tables = nn.ModuleDict(tables)
        self.outputs = dict(outputs)
        self.means = means

    def forward(self, lookups: Lookups) -> KeyedTensor:
        """Each output's sums or means, [B, dim], side by side."""
        pieces = [self._bag(lookups, lookups.keys.index(feature), name) for feature, name in self.outputs.values()]
        widths = [_width(self.tables[name]) for _, name in self.outputs.values()]
        return KeyedTensor(keys=list(self.outputs), length_per_key=widths, values=torch.cat(pieces, dim=1))

    def _bag(self, lookups: Lookups, place: int, name: str) -> torch.Tensor:
        ids, offsets = lookups.ids[place], jagged.offsets_of(lookups.lengths[place])
        weights = None if lookups.weights is None else lookups.weights[place]
        mode = 1 if name in self.means else 0
        table = self.tables[name]
        if isinstance(table, FloatTable) and table.weight.dtype == torch.float32:
            return torch.embedding_bag(table.weight, ids, offsets, False, mode, False, weights, True)[0]
        rows = table(ids)
        places = torch.arange(rows.size(0), device=rows.device)
        return torch.embedding_bag(rows, places, offsets, False, mode, False, weights, True)[0]


class PlainSequences(nn.Module):
    """Tables that are looked up id by id, in place of an embedding collection.

    Args:
        tables, outputs: as for :class:`PlainBags`.
    """

    takes_lookups = True

    def __init__(self, tables: Mapping[str, nn.Module], outputs: Mapping[str, tuple[str, str]]) -> None:
        super().__init__()
        self.tables = nn.ModuleDict(tables)
        self.outputs = dict(outputs)

    def forward(self, lookups: Lookups) -> dict[str, JaggedTensor]:
        """The embedding of each id, by key."""
        out = {}
        for key, (feature, name) in self.outputs.items():
            place = lookups.keys.index(feature)
            out[key] = JaggedTensor(values=self.tables[name](lookups.ids[place]), lengths=lookups.lengths[place])
        return out


def _width(table: nn.Module) -> int:
    if isinstance(table, PackedTable):
        return table.packed.size(1) * len(table.shifts)
    assert isinstance(table, FloatTable)
    return table.weight.size(1)
