"""Parsed features as columns, to be looked at beside the scores (``--debug_level 1``)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import torch

from recinfer.data.parser import Tensors
from recinfer.features.base import Feature

PREFIX = "parsed."


def debug_fields(features: Sequence[Feature]) -> list[pa.Field]:
    """One list column per feature: ids or floats per row; lists of lists for sequences of several values."""
    return [pa.field(PREFIX + feature.name, _type(feature)) for feature in features]


def debug_values(features: Sequence[Feature], tensors: Tensors) -> list[pa.Array]:
    """The columns of a parsed batch."""
    return [_column(feature, tensors) for feature in features]


def _is_nested(feature: Feature) -> bool:
    return feature.is_sequence and feature.value_dim != 1


def _type(feature: Feature) -> pa.DataType:
    inner: pa.DataType = pa.list_(pa.int64() if feature.is_sparse else pa.float32())
    return pa.list_(inner) if _is_nested(feature) else inner


def _column(feature: Feature, tensors: Tensors) -> pa.Array:
    values = tensors[f"{feature.name}.values"]
    flat: pa.Array = pa.array(values.reshape(-1).numpy())
    lengths = tensors.get(f"{feature.name}.lengths")
    if lengths is None:
        return _lists(flat, np.full(values.shape[0], values.shape[1], np.int64))
    if _is_nested(feature):
        key_lengths = tensors.get(f"{feature.name}.key_lengths")
        per_step = np.full(values.shape[0], values.shape[1]) if key_lengths is None else key_lengths.numpy()
        flat = _lists(flat, per_step)
    return _lists(flat, _numpy(lengths))


def _numpy(lengths: torch.Tensor) -> np.ndarray:
    array: np.ndarray = lengths.numpy()
    return array


def _lists(values: pa.Array, lengths: np.ndarray) -> pa.Array:
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), values)
