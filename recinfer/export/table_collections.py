"""Replaces the table collections of a model."""

from __future__ import annotations

import copy
from collections.abc import Callable

from torch import nn
from torchrec.modules.embedding_modules import EmbeddingBagCollection, EmbeddingCollection
from torchrec.modules.mc_embedding_modules import (
    ManagedCollisionEmbeddingBagCollection,
    ManagedCollisionEmbeddingCollection,
)

from recinfer.nn.managed_collision import remapped


def with_collections(
    model: nn.Module,
    bags: Callable[[EmbeddingBagCollection], nn.Module],
    sequences: Callable[[EmbeddingCollection], nn.Module],
) -> nn.Module:
    """A copy of a model with other collections; zero-collision tables keep their mappings as they are now.

    Args:
        model: in eval mode; left as it is.
        bags, sequences: make what takes the place of a collection.
    """
    replaced: dict[int, nn.Module] = {}
    managed: list[nn.Module] = []
    for module in model.modules():
        if isinstance(module, ManagedCollisionEmbeddingBagCollection | ManagedCollisionEmbeddingCollection):
            managed.append(module)
        elif isinstance(module, EmbeddingBagCollection):
            replaced[id(module)] = bags(module)
        elif isinstance(module, EmbeddingCollection):
            replaced[id(module)] = sequences(module)
    for module in managed:
        replaced[id(module)] = remapped(module, replaced[id(module._embedding_module)])
    # The memo makes the copy take the new collections without copying the old tables.
    return copy.deepcopy(model, memo=dict(replaced))  # type: ignore[arg-type]
