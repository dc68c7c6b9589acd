"""A model over tables that plain operators look up, for compiling it as a whole."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torchrec.modules.embedding_configs import BaseEmbeddingConfig, PoolingType
from torchrec.modules.embedding_modules import EmbeddingBagCollection, EmbeddingCollection

from recinfer.export.quantize import check_widths
from recinfer.export.table_collections import with_collections
from recinfer.nn.plain_tables import FloatTable, PackedTable, PlainBags, PlainSequences

BITS = {torch.qint8: 8, torch.quint4x2: 4, torch.quint2x4: 2}


def with_plain_tables(model: nn.Module, pooled: torch.dtype, sequence: torch.dtype) -> nn.Module:
    """A copy of a model whose collections look up in plain tables of the given types; arguments as for
    :func:`~recinfer.export.quantize.with_inference_tables`."""

    def bags(collection: EmbeddingBagCollection) -> nn.Module:
        check_widths(collection, pooled)
        configs = collection.embedding_bag_configs()
        tables = {each.name: _table(collection.embedding_bags[each.name].weight, pooled) for each in configs}
        means = frozenset(each.name for each in configs if each.pooling == PoolingType.MEAN)
        return PlainBags(tables, _outputs(configs), means)

    def sequences(collection: EmbeddingCollection) -> nn.Module:
        check_widths(collection, sequence)
        tables = {name: _table(table.weight, sequence) for name, table in collection.embeddings.items()}
        return PlainSequences(tables, _outputs(collection.embedding_configs()))

    return with_collections(model, bags, sequences)


def _table(weight: torch.Tensor, kind: torch.dtype) -> nn.Module:
    weight = weight.detach()
    return PackedTable(weight, BITS[kind]) if kind in BITS else FloatTable(weight.to(kind))


def _outputs(configs: Sequence[BaseEmbeddingConfig]) -> dict[str, tuple[str, str]]:
    """Feature and table of each output, by its key: ``feature@table`` where a feature has several."""
    features = [name for config in configs for name in config.feature_names]
    return {
        f"{name}@{config.name}" if features.count(name) > 1 else name: (name, config.name)
        for config in configs
        for name in config.feature_names
    }
