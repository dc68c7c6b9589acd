"""Refuses ids outside their tables before they reach a GPU, where a bad one ends the process's use of it."""

from __future__ import annotations

from collections.abc import Sequence

from recinfer.data.parser import Tensors
from recinfer.errors import ModelError
from recinfer.features.base import Feature


def refuse_outside(tensors: Tensors, features: Sequence[Feature]) -> None:
    """Looks at all ids of a parsed batch.

    Args:
        tensors: of the CPU.
        features: those with zero-collision tables take any id.

    Raises:
        ModelError: one is outside.
    """
    for feature in features:
        if not feature.is_sparse or feature.zch is not None:
            continue
        ids = tensors[f"{feature.name}.values"]
        if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < feature.table_rows:
            raise ModelError(
                f"an id of {feature.name!r} is outside its table, whose rows are 0 to {feature.table_rows - 1}",
                "correct the input",
            )
