"""torchrec's collections over tables, new and in single process form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torchrec import EmbeddingBagCollection, EmbeddingCollection

from recinfer.nn.half_bag import pool_in_single_precision
from recinfer.nn.tables import Table

_device: ContextVar[torch.device | None] = ContextVar("device of new tables", default=None)


@contextmanager
def tables_without_memory() -> Iterator[None]:
    """Tables made inside have a shape and no memory (torch's ``meta`` device): each rank makes its part when they are
    sharded."""
    token = _device.set(torch.device("meta"))
    try:
        yield
    finally:
        _device.reset(token)


def bag_collection(
    tables: Sequence[Table], *, weighted: bool, keys: Mapping[str, Sequence[str]] | None = None
) -> EmbeddingBagCollection:
    """Pooled tables.

    Args:
        tables: at least one.
        weighted: whether ids carry weights.
        keys: of each table's lookups, where these are not the names of its features.
    """
    configs = [table.bag_config((keys or {}).get(table.name, ())) for table in tables]
    bags = EmbeddingBagCollection(configs, weighted, device=_device.get())
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
    configs = [table.sequence_config((keys or {}).get(table.name, ())) for table in tables]
    collection = EmbeddingCollection(configs, device=_device.get())
    for table in tables:
        collection.embeddings[table.name].weight.requires_grad_(table.trainable)
    return collection
