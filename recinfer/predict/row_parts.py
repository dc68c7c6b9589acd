"""Scores batches that are larger or smaller than a compiled model takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from recinfer.data.batch import BatchSlicer
from recinfer.data.parser import Tensors
from recinfer.features.base import Feature
from recinfer.features.example import example_batch

Run = Callable[[Tensors], Tensors]


def rows_of(tensors: Tensors, features: Sequence[Feature]) -> int:
    """The rows of a parsed batch."""
    name = features[0].name
    lengths = tensors.get(f"{name}.lengths")
    return len(tensors[f"{name}.values"] if lengths is None else lengths)


def in_parts(run: Run, tensors: Tensors, rows: int, most: int) -> Tensors:
    """Runs a batch ``most`` rows at a time, and joins the predictions."""
    cut = BatchSlicer(tensors)
    parts = [run(cut(first, min(first + most, rows))) for first in range(0, rows, most)]
    return {name: torch.cat([each[name] for each in parts]) for name in parts[0]}


def filled_up(tensors: Tensors, features: Sequence[Feature], rows: int, steps: int) -> Tensors:
    """A batch with made-up rows behind its own, each with so many steps: rows do not touch each other's scores."""
    more = example_batch(features, rows, steps=steps)
    return {key: torch.cat([tensor, more[key].to(tensor.dtype)]) for key, tensor in tensors.items() if key in more}
