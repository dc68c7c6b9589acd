"""Refuses batches whose lengths do not fit their values: lookups would read beside them, or mix up rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NoReturn

import torch

from recinfer.data.parser import Tensors
from recinfer.errors import ModelError
from recinfer.features.base import Feature

HINT = "give batches as the export's own parser makes them"

# A key, its lengths, and what they shall add up to.
Lengths = tuple[str, torch.Tensor, int]


class LengthCheck:
    """Looks at the lengths of parsed batches.

    Args:
        features: of the batches.
    """

    def __init__(self, features: Sequence[Feature]) -> None:
        self._keys = [
            (f"{feature.name}.values", f"{feature.name}.key_lengths", f"{feature.name}.lengths") for feature in features
        ]

    def refuse_misfits(self, tensors: Tensors) -> None:
        """Looks at all lengths of a batch.

        Raises:
            ModelError: one is negative, or they do not add up to the values.
        """
        # Those of equal size are looked at together: a batch has dozens of features, and each call costs microseconds.
        for found in self._alike(tensors).values():
            together = torch.stack([lengths for _, lengths, _ in found])
            totals, wanted = together.sum(1).tolist(), [count for _, _, count in found]
            if totals != wanted or (together.numel() and int(together.min()) < 0):
                _refuse(found, totals)

    def _alike(self, tensors: Tensors) -> dict[int, list[Lengths]]:
        """The lengths, by how many there are."""
        found: dict[int, list[Lengths]] = defaultdict(list)
        for of_values, of_steps, of_lengths in self._keys:
            values, lengths, steps = tensors.get(of_values), tensors.get(of_lengths), tensors.get(of_steps)
            if values is None or lengths is None:
                continue
            if steps is not None:
                found[len(steps)].append((of_steps, steps, len(values)))
                values = steps
            found[len(lengths)].append((of_lengths, lengths, len(values)))
        return found


def _refuse(found: Sequence[Lengths], totals: Sequence[int]) -> NoReturn:
    for (key, _, count), total in zip(found, totals, strict=True):
        if total != count:
            raise ModelError(f"{key} add up to {total}, and there are {count} values", HINT)
    key = next(key for key, lengths, _ in found if bool((lengths < 0).any()))
    raise ModelError(f"{key} hold a negative one", HINT)
