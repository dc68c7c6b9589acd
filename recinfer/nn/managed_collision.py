"""Collections of zero-collision tables: any int64 id, a bounded table, rows for the ids that matter.

Lookups of such tables go by a key of their own, also where two tables share a feature, since each table maps its ids
for itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torchrec.modules.mc_embedding_modules import (
    ManagedCollisionEmbeddingBagCollection,
    ManagedCollisionEmbeddingCollection,
)
from torchrec.modules.mc_modules import ManagedCollisionCollection

from recinfer.errors import ModelError
from recinfer.nn.id_slots import IdSlots, build_slots
from recinfer.nn.lookups import Lookups
from recinfer.nn.slot_remap import RemappedTables, finished
from recinfer.nn.table_collections import bag_collection, sequence_collection
from recinfer.nn.tables import Table

Keys = Mapping[tuple[str, str], str]


def managed_lookups(tables: Sequence[Table], keys: Keys) -> dict[str, str]:
    """The feature of each lookup, by key, in the order that a collection of these tables takes."""
    return {keys[name, table.name]: name for table in tables for name in table.features}


def managed_bags(tables: Sequence[Table], keys: Keys, *, weighted: bool) -> ManagedCollisionEmbeddingBagCollection:
    """Pooled zero-collision tables.

    Args:
        tables: each with a ``zch``.
        keys: of the lookups, by (feature, table).
        weighted: whether ids carry weights.
    """
    bags = bag_collection(tables, weighted=weighted, keys=_keys_of(tables, keys))
    return ManagedCollisionEmbeddingBagCollection(bags, _slots(tables, bags.embedding_bag_configs()))


def managed_sequences(tables: Sequence[Table], keys: Keys) -> ManagedCollisionEmbeddingCollection:
    """Zero-collision tables that are looked up id by id, all of one width."""
    collection = sequence_collection(tables, keys=_keys_of(tables, keys))
    return ManagedCollisionEmbeddingCollection(collection, _slots(tables, collection.embedding_configs()))


def look_up(collection: nn.Module, lookups: Lookups) -> Any:
    """What a managed collection, or what an export puts in its place, gives for lookups."""
    if getattr(collection, "takes_lookups", False):
        return collection(lookups)
    return collection(lookups.keyed_jagged())[0]


def remapped(collection: nn.Module, tables: nn.Module) -> RemappedTables:
    """A managed collection for inference: its mappings as they are now, over tables of another kind."""
    slots = collection.get_submodule("_managed_collision_collection")
    assert isinstance(slots, ManagedCollisionCollection)
    mappings = slots._managed_collision_modules.items()
    remaps = {name: finished(mapping) for name, mapping in mappings if isinstance(mapping, IdSlots)}
    return RemappedTables(tables, remaps, slots._feature_to_table)


def settle(model: nn.Module) -> None:
    """Puts mappings that were loaded in place in order.

    Several ranks write theirs one after the other; search wants one ascending sequence.

    Raises:
        ModelError: a mapping is not one of a table of this size.
    """
    for name, module in model.named_modules():
        if isinstance(module, IdSlots):
            try:
                module.validate_state()
            except AssertionError as error:
                raise ModelError(f"the zero-collision mapping {name} cannot be used: {error}") from error


def _keys_of(tables: Sequence[Table], keys: Keys) -> dict[str, list[str]]:
    return {table.name: [keys[name, table.name] for name in table.features] for table in tables}


def _slots(tables: Sequence[Table], configs: Sequence[Any]) -> ManagedCollisionCollection:
    slots = {table.name: build_slots(table.zch, table.features[0], trainable=table.trainable) for table in tables}
    # There is nothing to do before ids go to their ranks, and that step would lose their weights.
    return ManagedCollisionCollection(slots, configs, need_preprocess=False)  # type: ignore[arg-type]
