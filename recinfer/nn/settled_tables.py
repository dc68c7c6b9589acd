"""Zero-collision tables for prediction by many ranks: the mapping of ids is finished, so each rank has all of it, and
the rows lie anywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from torch import nn
from torchrec.modules.mc_embedding_modules import BaseManagedCollisionEmbeddingCollection
from torchrec.modules.mc_modules import ManagedCollisionCollection

from recinfer.nn.id_slots import IdSlots
from recinfer.nn.lookups import Lookups, look_up_in
from recinfer.nn.pooled_embeddings import PooledEmbeddings
from recinfer.nn.sequence_embeddings import SequenceEmbeddings
from recinfer.nn.slot_remap import SlotRemap, finished
from recinfer.nn.tables import Table

Made = TypeVar("Made", bound=nn.Module)


class SettledTables(nn.Module):
    """Takes the place of one of torchrec's managed collections, under the same names in ``state_dict()``.

    Among several ranks torchrec sends each id to the rank that its value belongs to, so a mapping that was learnt on
    another number of ranks would not be found there.

    Args:
        managed: the collection; its tables may have no memory yet.
    """

    takes_lookups = True

    def __init__(self, managed: BaseManagedCollisionEmbeddingCollection) -> None:
        super().__init__()
        self._embedding_module = managed.get_submodule("_embedding_module")
        self._managed_collision_collection = managed.get_submodule("_managed_collision_collection")
        self._remaps: dict[str, SlotRemap] = {}

    @property
    def tables(self) -> nn.Module:
        """The collection behind the mappings."""
        return self._embedding_module

    @property
    def _slots(self) -> ManagedCollisionCollection:
        assert isinstance(self._managed_collision_collection, ManagedCollisionCollection)
        return self._managed_collision_collection

    def finish(self) -> None:
        """Takes the mappings as they are now; to be called once they are loaded."""
        mappings = self._slots._managed_collision_modules.items()
        self._remaps = {name: finished(mapping) for name, mapping in mappings if isinstance(mapping, IdSlots)}

    def rows_of(self, lookups: Lookups) -> Lookups:
        """Rows in place of ids."""
        table_of = self._slots._feature_to_table
        rows = [self._remaps[table_of[key]](ids) for key, ids in zip(lookups.keys, lookups.ids, strict=True)]
        return replace(lookups, ids=rows)

    def forward(self, lookups: Lookups) -> Any:
        """What the tables give for ids: a ``KeyedTensor``, or jagged tensors by key."""
        # A pipelined collection has sent the rows already.
        sent = getattr(self.tables, "is_pipelined", False)
        return look_up_in(self.tables, lookups if sent else self.rows_of(lookups))


def settle_tables(model: nn.Module) -> None:
    """Puts :class:`SettledTables` into a model that is not sharded yet, and makes its tables ordinary ones."""
    replace_managed(model, lambda managed, is_sequence: SettledTables(managed))


def replace_managed(
    model: nn.Module,
    make: Callable[[BaseManagedCollisionEmbeddingCollection, bool], Made],
    change: Callable[[Table], None] = lambda table: None,
) -> list[Made]:
    """Puts modules in place of a model's managed collections, whose tables become ordinary ones.

    Args:
        make: of a collection, and whether its ids are looked up one by one.
        change: what else becomes of each table.

    Returns:
        The new modules.
    """
    made: list[Made] = []
    for module in list(model.modules()):
        tables: list[Table] = []
        if isinstance(module, PooledEmbeddings) and module.managed_tables:
            made.append(make(module.mc_ebc, False))
            module.mc_ebc, tables = made[-1], module.managed_tables
        elif isinstance(module, SequenceEmbeddings):
            for dim, managed in module.mc_ec_dict.items():
                assert isinstance(managed, BaseManagedCollisionEmbeddingCollection)
                made.append(make(managed, True))
                module.mc_ec_dict[dim] = made[-1]
            tables = [table for table in module.tables if table.zch is not None]
        for table in tables:
            change(table)
            table.zch = None
    return made


def finish_tables(model: nn.Module) -> None:
    """Calls :meth:`SettledTables.finish` of all that a model has."""
    for module in model.modules():
        if isinstance(module, SettledTables):
            module.finish()
