"""Bags over tables of half precision, pooled in single precision."""

from __future__ import annotations

import torch
from torch import nn
from torchrec import EmbeddingBagCollection


class HalfBag(nn.EmbeddingBag):
    """A bag over an FP16 table that adds up float32 numbers, as the batched lookups of training and of exports do.

    ``nn.EmbeddingBag`` would round each sum to half precision, and refuses weights that are float32.
    """

    def forward(
        self,
        input: torch.Tensor,
        offsets: torch.Tensor | None = None,
        per_sample_weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """ids [sum], offsets [B + 1] and weights [sum] to float32 [B, embedding_dim]."""
        assert offsets is not None
        rows = nn.functional.embedding(input, self.weight).to(torch.float32)
        places = torch.arange(rows.size(0), device=rows.device)
        mode = 1 if self.mode == "mean" else 0
        return torch.embedding_bag(rows, places, offsets.long(), False, mode, False, per_sample_weights, True)[0]


def pool_in_single_precision(collection: EmbeddingBagCollection) -> None:
    """Makes :class:`HalfBag` of a collection's bags over FP16 tables, in place; parameters stay as they are."""
    for name, bag in collection.embedding_bags.items():
        if isinstance(bag, nn.EmbeddingBag) and bag.weight.dtype == torch.float16:
            half = HalfBag(
                bag.num_embeddings,
                bag.embedding_dim,
                mode=bag.mode,
                include_last_offset=True,
                _weight=bag.weight,
            )
            half.weight = bag.weight
            collection.embedding_bags[name] = half
