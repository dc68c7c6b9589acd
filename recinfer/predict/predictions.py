"""Prediction tensors to Arrow columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import torch


def to_arrow(chunks: Sequence[dict[str, torch.Tensor]], schema: pa.Schema) -> pa.RecordBatch:
    """The predictions of consecutive chunks as one record batch.

    Args:
        chunks: per chunk, one tensor per column of the schema, first dimension the chunk's rows.
        schema: floating columns are float32, others int64; a dimension more is a list more.
    """
    columns = [_column([chunk[field.name] for chunk in chunks], field.type) for field in schema]
    return pa.record_batch(columns, schema=schema)


def _column(parts: Sequence[torch.Tensor], kind: pa.DataType) -> pa.Array:
    if not parts:
        return pa.array([], kind)
    whole = parts[0] if len(parts) == 1 else torch.cat(list(parts))
    scalar = kind
    while pa.types.is_list(scalar):
        scalar = scalar.value_type
    target = torch.float32 if pa.types.is_floating(scalar) else torch.int64
    return _nested(whole.detach().to("cpu", target).contiguous().numpy(), scalar)


def _nested(values: np.ndarray, scalar: pa.DataType) -> pa.Array:
    array: pa.Array = pa.array(values.reshape(-1), scalar)
    for axis in range(values.ndim - 1, 0, -1):
        count = int(np.prod(values.shape[:axis]))
        offsets = np.arange(count + 1, dtype=np.int32) * values.shape[axis]
        array = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), array)
    return array
