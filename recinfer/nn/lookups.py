"""The ids of several lookups, as torchrec's collections take them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torchrec import KeyedJaggedTensor

from recinfer.features.base import Feature
from recinfer.nn import jagged


@dataclass(frozen=True)
class Lookups:
    """Ids of several lookups side by side, B rows.

    Attributes:
        keys: one per lookup.
        ids: int64 [sum of lengths] each.
        lengths: int32 [B] each.
        weights: float32 as ``ids``, or None.
    """

    keys: Sequence[str]
    ids: Sequence[torch.Tensor]
    lengths: Sequence[torch.Tensor]
    weights: Sequence[torch.Tensor] | None = None

    def keyed_jagged(self) -> KeyedJaggedTensor:
        """All in one tensor."""
        return KeyedJaggedTensor(
            keys=list(self.keys),
            values=torch.cat(list(self.ids)),
            lengths=torch.cat(list(self.lengths)),
            weights=None if self.weights is None else torch.cat(list(self.weights)),
        )


# Takes the lookups of one collection out of a parsed batch.
TakeLookups = Callable[[dict[str, torch.Tensor]], Lookups]


def look_up_in(collection: nn.Module, lookups: Lookups) -> Any:
    """What a collection gives for lookups: torchrec's take them as one tensor, others as they are."""
    return collection(lookups if getattr(collection, "takes_lookups", False) else lookups.keyed_jagged())


class BagInputs:
    """Takes the lookups of one embedding-bag collection out of a batch.

    Weighted bags can only be summed; where one lookup is weighted all are, and a mean is a sum of 1/length.

    Args:
        features: of each lookup, by key, in order.
        mean_keys: lookups whose table is pooled by the mean.
    """

    def __init__(self, features: dict[str, Feature], mean_keys: Sequence[str]) -> None:
        self.names = {key: feature.name for key, feature in features.items()}
        self.weighted = any(feature.is_weighted for feature in features.values())
        self._weighted_keys = {key for key, feature in features.items() if feature.is_weighted}
        self._mean_keys = set(mean_keys) if self.weighted else set()

    def only(self, keys: Collection[str]) -> BagInputs:
        """The same for some of the lookups; weighted if all together are."""
        made = copy.copy(self)
        made.names = {key: name for key, name in self.names.items() if key in keys}
        return made

    def of(self, batch: dict[str, torch.Tensor]) -> Lookups:
        """The lookups of a batch."""
        return Lookups(
            list(self.names),
            [batch[f"{name}.values"] for name in self.names.values()],
            [batch[f"{name}.lengths"] for name in self.names.values()],
            [self._weights(batch, key) for key in self.names] if self.weighted else None,
        )

    def _weights(self, batch: dict[str, torch.Tensor], key: str) -> torch.Tensor:
        name = self.names[key]
        values = batch[f"{name}.values"]
        given = batch[f"{name}.weights"] if key in self._weighted_keys else torch.ones_like(values, dtype=torch.float32)
        if key not in self._mean_keys:
            return given
        lengths = batch[f"{name}.lengths"]
        return given / jagged.repeat_rows(lengths, lengths).to(torch.float32)
