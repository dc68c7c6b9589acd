"""A model whose lookups a compiler takes: the tables of the scripted kinds, each batch of them read by one operator."""

from __future__ import annotations

import torch
from torch import nn
from torchrec.quant.embedding_modules import EmbeddingBagCollection, EmbeddingCollection

from recinfer.export.quantize import with_inference_tables
from recinfer.nn.batched_tables import BatchedBags, BatchedSequences


def with_batched_tables(model: nn.Module, pooled: torch.dtype, sequence: torch.dtype) -> nn.Module:
    """As :func:`~recinfer.export.quantize.with_inference_tables`, without keyed tensors around the lookups."""
    made = with_inference_tables(model, pooled, sequence)
    for name, module in list(made.named_modules()):
        if isinstance(module, EmbeddingBagCollection):
            made.set_submodule(name, BatchedBags(module))
        elif isinstance(module, EmbeddingCollection):
            made.set_submodule(name, BatchedSequences(module))
    return made
