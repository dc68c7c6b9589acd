"""A small valid batch of any size, made from the features alone: to learn layouts and output shapes, to warm up."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from recinfer.features.base import Feature


def example_batch(
    features: Sequence[Feature], rows: int, *, steps: int = 1, seed: int = 0, default_table_rows: int = 1
) -> dict[str, torch.Tensor]:
    """Random ids inside their tables and normal floats, keys as a parser makes them.

    Args:
        features: any kinds.
        rows: rows of the batch.
        steps: steps of each sequence.
        seed: of the generator.
        default_table_rows: table size where a feature's is not known.
    """
    generator = np.random.default_rng(seed)
    out: dict[str, torch.Tensor] = {}
    for feature in features:
        count = rows * (steps if feature.is_sequence else 1)
        values = _values(feature, count, generator, default_table_rows)
        out[f"{feature.name}.values"] = torch.from_numpy(values)
        if feature.is_sparse or feature.is_sequence:
            per_row = steps if feature.is_sequence else 1
            out[f"{feature.name}.lengths"] = torch.full((rows,), per_row, dtype=torch.int32)
        if feature.is_sparse and feature.is_weighted:
            out[f"{feature.name}.weights"] = torch.ones(count)
        if feature.is_sparse and feature.is_sequence and feature.value_dim != 1:
            out[f"{feature.name}.key_lengths"] = torch.ones(count, dtype=torch.int32)
    return out


def ragged_batch(
    features: Sequence[Feature], rows: int, *, longest: int | Callable[[int], int] = 4, seed: int = 0
) -> dict[str, torch.Tensor]:
    """As :func:`example_batch`, with 0 to ``longest`` steps a row, the same for all features of a sequence, and 0 to 2
    ids where several are allowed.

    Args:
        longest: of each sequence, which a row has where this is told by the sequence's number.
    """
    generator = np.random.default_rng(seed)
    lengths: dict[str, npt.NDArray[np.int64]] = {}
    out: dict[str, torch.Tensor] = {}
    for feature in features:
        several = feature.is_sparse and feature.value_dim != 1
        if feature.sequence is not None:
            group = feature.sequence.name or feature.name
            number = list(lengths).index(group) if group in lengths else len(lengths)
            most = longest(number) if callable(longest) else longest
            drawn = generator.integers(0, most + 1, rows)
            if callable(longest):
                drawn[number % rows] = most
            per_row = lengths.setdefault(group, drawn)
        elif several:
            per_row = generator.integers(0, 3, rows)
        else:
            per_row = np.ones(rows, np.int64)
        count = int(per_row.sum())
        if feature.is_sparse or feature.is_sequence:
            out[f"{feature.name}.lengths"] = torch.from_numpy(per_row.astype(np.int32))
        if feature.is_sequence and several:
            per_step = generator.integers(0, 3, count)
            out[f"{feature.name}.key_lengths"] = torch.from_numpy(per_step.astype(np.int32))
            count = int(per_step.sum())
        out[f"{feature.name}.values"] = torch.from_numpy(_values(feature, count, generator, 1))
        if feature.is_sparse and feature.is_weighted:
            out[f"{feature.name}.weights"] = torch.from_numpy(generator.random(count, np.float32))
    return out


def batch_keys(feature: Feature) -> list[str]:
    """The keys under which a parser gives a feature to a model."""
    return list(example_batch([feature], 1))


def _values(
    feature: Feature, count: int, generator: np.random.Generator, default_table_rows: int
) -> npt.NDArray[np.int64] | npt.NDArray[np.float32]:
    if feature.is_sparse:
        highest = feature.table_rows if feature.has_known_size else default_table_rows
        return generator.integers(0, highest, count, dtype=np.int64)
    return generator.standard_normal((count, feature.value_dim), dtype=np.float32)
