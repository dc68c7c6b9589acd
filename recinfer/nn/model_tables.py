"""The embedding tables of a model, wherever they are in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from recinfer.nn.pooled_embeddings import PooledEmbeddings
from recinfer.nn.sequence_embeddings import SequenceEmbeddings
from recinfer.nn.tables import Table


@dataclass(frozen=True)
class PlacedTable:
    """A table, and how it is looked up.

    Attributes:
        table: what it is.
        is_sequence: looked up id by id, rather than pooled. Tables of one name may be there in both ways, apart.
    """

    table: Table
    is_sequence: bool

    @property
    def bytes(self) -> int:
        """Of its weights."""
        return self.table.rows * self.table.dim * (2 if self.table.data_type == "FP16" else 4)


def tables_of(model: nn.Module) -> list[PlacedTable]:
    """All tables of a model, plain or sharded."""
    return list(_tables(model))


def table_of_weight(name: str, tables: list[PlacedTable]) -> PlacedTable | None:
    """The table whose weight has this name in ``state_dict()``; None for other parameters."""
    path = name.split(".")
    if len(path) < 3 or path[-1] != "weight" or path[-3] not in ("embedding_bags", "embeddings"):
        return None
    wanted = path[-2], path[-3] == "embeddings"
    return next((placed for placed in tables if (placed.table.name, placed.is_sequence) == wanted), None)


def _tables(model: nn.Module) -> Iterator[PlacedTable]:
    for module in model.modules():
        if isinstance(module, PooledEmbeddings):
            yield from (PlacedTable(table, False) for table in (*module.tables, *module.managed_tables))
        elif isinstance(module, SequenceEmbeddings):
            yield from (PlacedTable(table, True) for table in module.tables)
