"""fbgemm's batched lookups as one call of one operator, for models that are compiled as a whole.

torchrec's inference collections wrap that operator in keyed jagged tensors, and check ids with another one that changes
its input; a compiler takes neither. Here the lookups come side by side, and the check is made of plain operators.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from fbgemm_gpu.split_table_batched_embeddings_ops_inference import IntNBitTableBatchedEmbeddingBagsCodegen
from torch import nn
from torchrec import JaggedTensor, KeyedTensor
from torchrec.quant.embedding_modules import EmbeddingBagCollection, EmbeddingCollection

from recinfer.nn import jagged
from recinfer.nn.lookups import Lookups

LOOKUP = torch.ops.fbgemm.int_nbit_split_embedding_codegen_lookup_function
TENSORS = ("uvm_weights", "weights_placements", "weights_offsets", "weights_tys", "D_offsets")
NUMBERS = ("total_D", "max_int2_D", "max_int4_D", "max_int8_D", "max_float16_D", "max_float32_D")


class BatchedTables(nn.Module):
    """Tables that are looked up together.

    Args:
        tables: fbgemm's module that holds them.
        features: of the lookups, in its order.

    Attributes:
        names, shapes: of the tables; a shape is rows and dim.
        table_of: the place of each lookup's table among them.
    """

    dev_weights: torch.Tensor
    weights_tys: torch.Tensor

    def __init__(self, tables: IntNBitTableBatchedEmbeddingBagsCodegen, features: Sequence[str]) -> None:
        super().__init__()
        self.features = list(features)
        self.table_of = list(tables.feature_table_map)
        self.names = [str(spec[0]) for spec in tables.embedding_specs]
        self.shapes = [(int(spec[1]), int(spec[2])) for spec in tables.embedding_specs]
        self.rows = [self.shapes[place][0] for place in self.table_of]
        self.register_buffer("dev_weights", tables.weights_host if tables.host_size > 0 else tables.weights_dev)
        for name in TENSORS:
            held = tables.weights_uvm if name == "uvm_weights" else getattr(tables, name)
            self.register_buffer(name, held)
        self.numbers = {name: int(getattr(tables, name)) for name in NUMBERS}
        self.pooling = int(tables.pooling_mode)
        self.output_dtype = int(tables.output_dtype)
        self.row_alignment = int(tables.row_alignment)

    def forward(self, lookups: Lookups) -> torch.Tensor:
        """Sums or means side by side, float32 [B, total dim]; or without pooling one id after the other, [ids, dim]."""
        places = [lookups.keys.index(feature) for feature in self.features]
        ids = [lookups.ids[place] for place in places]
        self._refuse_outside(ids)
        return LOOKUP(
            self.dev_weights,
            *(getattr(self, name) for name in TENSORS),
            *(self.numbers[name] for name in NUMBERS),
            torch.cat(ids),
            jagged.offsets_of(torch.cat([lookups.lengths[place] for place in places])),
            self.pooling,
            None if lookups.weights is None else torch.cat([lookups.weights[place] for place in places]),
            self.output_dtype,
            row_alignment=self.row_alignment,
        )

    def _refuse_outside(self, ids: Sequence[torch.Tensor]) -> None:
        """The operator takes -1 for an id without an embedding, and on a GPU reads whatever an id points to."""
        outside = [(each < 0) | (each >= rows) for each, rows in zip(ids, self.rows, strict=True)]
        torch._assert_async(torch.logical_not(torch.cat(outside).any()), "an id is outside its table")


def _batches(collection: EmbeddingBagCollection | EmbeddingCollection) -> nn.ModuleList:
    """The tables of torchrec's inference collection, by the operator's calls."""
    held = zip(collection._emb_modules, collection._key_to_tables.values(), strict=True)
    return nn.ModuleList(
        BatchedTables(tables, [name for config in configs for name in config.feature_names]) for tables, configs in held
    )


class BatchedBags(nn.Module):
    """Pooled tables, in place of an embedding-bag collection.

    Args:
        collection: torchrec's inference collection, whose tables it takes over.
    """

    takes_lookups = True

    def __init__(self, collection: EmbeddingBagCollection) -> None:
        super().__init__()
        self.batches = _batches(collection)
        self.keys = list(collection._embedding_names)
        self.widths = list(collection._length_per_key)

    def forward(self, lookups: Lookups) -> KeyedTensor:
        """Each lookup's sums or means, [B, dim], side by side."""
        pieces = [tables(lookups) for tables in self.batches]
        values = pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=1)
        return KeyedTensor(keys=self.keys, length_per_key=self.widths, values=values)


class BatchedSequences(nn.Module):
    """Tables that are looked up id by id, in place of an embedding collection.

    Args:
        collection: as for :class:`BatchedBags`.
    """

    takes_lookups = True

    def __init__(self, collection: EmbeddingCollection) -> None:
        super().__init__()
        self.batches = _batches(collection)
        self.keys = [list(names) for names in collection._embedding_names_by_batched_tables.values()]

    def forward(self, lookups: Lookups) -> dict[str, JaggedTensor]:
        """The embedding of each id, by key."""
        out = {}
        for tables, keys in zip(self.batches, self.keys, strict=True):
            assert isinstance(tables, BatchedTables)
            places = [lookups.keys.index(feature) for feature in tables.features]
            values = torch.split(tables(lookups), [lookups.ids[place].size(0) for place in places])
            for number, (key, place) in enumerate(zip(keys, places, strict=True)):
                out[key] = JaggedTensor(values=values[number], lengths=lookups.lengths[place])
        return out
