"""torchrec's collections over tables, new and in single process form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torchrec import EmbeddingBagCollection, EmbeddingCollection

from recinfer.nn.half_bag import pool_in_single_precision
from recinfer.nn.tables import Table


def bag_collection(
    tables: Sequence[Table], *, weighted: bool, keys: Mapping[str, Sequence[str]] | None = None
) -> EmbeddingBagCollection:
    """Pooled tables.

    Args:
        tables: at least one.
        weighted: whether ids carry weights.
        keys: of each table's lookups, where these are not the names of its features.
    """
    bags = EmbeddingBagCollection([table.bag_config((keys or {}).get(table.name, ())) for table in tables], weighted)
    for table in tables:
        bags.embedding_bags[table.name].weight.requires_grad_(table.trainable)
    if weighted:
        # Without weights, sums of half precision are rounded once more, as the reference's are.
        pool_in_single_precision(bags)
    return bags


def sequence_collection(
    tables: Sequence[Table], *, keys: Mapping[str, Sequence[str]] | None = None
) -> EmbeddingCollection:
    """Tables of one width that are looked up id by id; arguments as for :func:`bag_collection`."""
    collection = EmbeddingCollection([table.sequence_config((keys or {}).get(table.name, ())) for table in tables])
    for table in tables:
        collection.embeddings[table.name].weight.requires_grad_(table.trainable)
    return collection
