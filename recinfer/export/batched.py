"""A model whose lookups a compiler takes: the tables of the scripted kinds, each batch of them read by one operator."""

from __future__ import annotations

import torch
from torch import nn
from torchrec.quant.embedding_modules import EmbeddingBagCollection, EmbeddingCollection

from recinfer.export.quantize import with_inference_tables
from recinfer.export.scripted_tables import POOLING, ROW_TYPES, HeldTable, row_bytes
from recinfer.nn.batched_tables import BatchedBags, BatchedSequences, BatchedTables


def with_batched_tables(model: nn.Module, pooled: torch.dtype, sequence: torch.dtype) -> nn.Module:
    """As :func:`~recinfer.export.quantize.with_inference_tables`, without keyed tensors around the lookups."""
    made = with_inference_tables(model, pooled, sequence)
    for name, module in list(made.named_modules()):
        if isinstance(module, EmbeddingBagCollection):
            made.set_submodule(name, BatchedBags(module))
        elif isinstance(module, EmbeddingCollection):
            made.set_submodule(name, BatchedSequences(module))
    return made


def tables_of(model: nn.Module) -> list[HeldTable]:
    """The tables of such a model, which machine code does not tell."""
    return [table for tables in model.modules() if isinstance(tables, BatchedTables) for table in _held(tables)]


def _held(tables: BatchedTables) -> list[HeldTable]:
    types = dict(zip(tables.table_of, tables.weights_tys.tolist(), strict=True))
    return [
        HeldTable(
            name,
            rows,
            dim,
            ROW_TYPES[types[place]][0],
            rows * row_bytes(dim, types[place], tables.row_alignment),
            POOLING[tables.pooling],
            tables.table_of.count(place),
        )
        for place, (name, (rows, dim)) in enumerate(zip(tables.names, tables.shapes, strict=True))
    ]
