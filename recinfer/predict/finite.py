"""Scores that are no numbers: where they come from is worth finding out, and nobody sees them among millions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def rows_not_finite(predictions: pa.RecordBatch) -> int:
    """How many rows have a NaN or an infinite number in any of their predictions.

    Args:
        predictions: columns of numbers, or of lists of them that are equally long in all rows.
    """
    bad: np.ndarray | None = None
    for column in predictions.columns:
        values = _numbers(column)
        if not np.issubdtype(values.dtype, np.floating) or np.isfinite(values).all():
            continue
        here = ~np.isfinite(values).reshape(len(column), -1).all(axis=1)
        bad = here if bad is None else bad | here
    return 0 if bad is None else int(bad.sum())


def _numbers(column: pa.Array) -> np.ndarray:
    while pa.types.is_list(column.type):
        column = column.flatten()
    return np.asarray(column.to_numpy(zero_copy_only=False))
