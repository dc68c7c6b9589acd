"""Embedding tables for inference: batched lookups over tables of a chosen precision."""

from __future__ import annotations

import torch
from fbgemm_gpu.split_table_batched_embeddings_ops_common import BoundsCheckMode
from torch import nn
from torch.ao.quantization import PlaceholderObserver, QConfig
from torchrec.modules.embedding_modules import EmbeddingBagCollection, EmbeddingCollection
from torchrec.quant.embedding_modules import DEFAULT_ROW_ALIGNMENT, MODULE_ATTR_ROW_ALIGNMENT_INT
from torchrec.quant.embedding_modules import EmbeddingBagCollection as QuantEmbeddingBagCollection
from torchrec.quant.embedding_modules import EmbeddingCollection as QuantEmbeddingCollection

from recinfer.errors import UsageError
from recinfer.export.table_collections import with_collections

# Bytes that a row of a table begins at a multiple of. A GPU wants the 16 that torchrec takes everywhere; on a processor
# they cost a quarter to a half of a coarse table's memory, and gain nothing.
CPU_ROW_ALIGNMENT = 4

TABLE_TYPES: dict[str, torch.dtype] = {
    "FP32": torch.float,
    "FP16": torch.half,
    "INT8": torch.qint8,
    "INT4": torch.quint4x2,
    "INT2": torch.quint2x4,
}


def table_type_name(name: str) -> str:
    """The key of :data:`TABLE_TYPES` that a flag or ``QUANT_EMB`` means; "" and ``0`` mean FP32.

    Raises:
        UsageError: the name is unknown.
    """
    chosen = (name or "FP32").upper()
    if chosen in {"0", "OFF", "NONE"}:
        chosen = "FP32"
    if chosen not in TABLE_TYPES:
        raise UsageError(f"table type {name!r} is unknown", f"use one of {', '.join(TABLE_TYPES)}")
    return chosen


def with_inference_tables(model: nn.Module, pooled: torch.dtype, sequence: torch.dtype) -> nn.Module:
    """A copy of a model whose collections look up in batched tables of the given types.

    Args:
        model: in eval mode; left as it is.
        pooled: type of embedding-bag tables.
        sequence: type of tables that are looked up id by id.
    """

    def bags(collection: EmbeddingBagCollection) -> nn.Module:
        check_widths(collection, pooled)
        return _strict(QuantEmbeddingBagCollection.from_float(_prepared(collection, pooled)))

    def sequences(collection: EmbeddingCollection) -> nn.Module:
        check_widths(collection, sequence)
        return _strict(QuantEmbeddingCollection.from_float(_prepared(collection, sequence)))

    return with_collections(model, bags, sequences)


def _strict(collection: QuantEmbeddingBagCollection | QuantEmbeddingCollection) -> nn.Module:
    """Makes an id outside its table an error; by default it is scored as row 0, with a warning."""
    for lookup in collection._emb_modules:
        lookup.bounds_check_mode_int = BoundsCheckMode.FATAL.value  # type: ignore[assignment]
    return collection


def check_widths(module: EmbeddingBagCollection | EmbeddingCollection, weights: torch.dtype) -> None:
    """Refuses tables whose rows do not fill whole 16-bit words, which the kernels ask for."""
    bits = {torch.quint4x2: 4, torch.quint2x4: 2}.get(weights)
    configs = (
        module.embedding_bag_configs() if isinstance(module, EmbeddingBagCollection) else module.embedding_configs()
    )
    unfit = [f"{each.name} ({each.embedding_dim})" for each in configs if bits and each.embedding_dim * bits % 16]
    if bits and unfit:
        raise UsageError(
            f"INT{bits} needs embedding dimensions that are multiples of {16 // bits}, "
            f"{len(unfit)} tables have others: {', '.join(unfit[:5])}" + (", ..." if len(unfit) > 5 else ""),
            "choose a finer table type, or other dimensions",
        )


def _prepared(module: nn.Module, weights: torch.dtype) -> nn.Module:
    on_cpu = all(each.device.type == "cpu" for each in module.parameters())
    setattr(module, MODULE_ATTR_ROW_ALIGNMENT_INT, CPU_ROW_ALIGNMENT if on_cpu else DEFAULT_ROW_ALIGNMENT)
    module.qconfig = QConfig(  # type: ignore[assignment]
        activation=PlaceholderObserver.with_args(dtype=torch.float),
        weight=PlaceholderObserver.with_args(dtype=weights),
    )
    return module
