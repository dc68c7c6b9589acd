"""Floats: a scalar or a fixed-length vector per row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from recinfer.errors import BadRowError
from recinfer.features.columns.ragged import bad_default, fill_empty, to_numbers
from recinfer.features.columns.sparse import ragged_values


def parse_dense(column: pa.Array, name: str, separator: str, default: str, dim: int) -> npt.NDArray[np.float32]:
    """Reads floats [rows, dim] from numbers, lists of numbers, or strings split at ``separator``.

    Args:
        column: normalised column, [rows].
        default: the vector of a row without a value; "" means zeros.
        dim: values per row.

    Raises:
        BadRowError: a value is no number, or a row does not hold ``dim`` values.
        ConfigError: so is the default.
    """
    fill = default_vector(default, separator, dim, name)[0]
    if dim == 1 and (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        values = column.to_numpy(zero_copy_only=False)
        if column.null_count:
            # NumPy gives nulls as NaN; only they are filled, a NaN of the data stays.
            mask = column.is_null().to_numpy(zero_copy_only=False)
            values = np.where(mask, fill[0], values)
        return values.astype(np.float32).reshape(-1, 1)
    rows = ragged_values(column, name, separator)
    values = to_numbers(rows, pa.float32(), name)
    check_dim(rows.lengths, np.arange(len(rows.lengths)), dim, name)
    values, _ = fill_empty(values, rows.lengths, fill)
    return np.ascontiguousarray(values, np.float32).reshape(-1, dim)


def default_vector(default: str, separator: str, dim: int, name: str) -> npt.NDArray[np.float32]:
    """A default value as float32 [1, dim]: "" is zeros, one number fills the vector."""
    try:
        numbers = [float(piece) for piece in default.split(separator) if piece]
    except ValueError:
        raise bad_default(default, name, "a number, or several separated") from None
    if len(numbers) not in (0, 1, dim):
        raise bad_default(default, name, f"one number or {dim}")
    return np.broadcast_to(np.array(numbers or [0.0], np.float32), (1, dim)).copy()


def check_dim(lengths: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], dim: int, name: str) -> None:
    """Refuses a vector whose length is neither 0 nor ``dim``; ``rows`` says which row each vector belongs to."""
    wrong = np.flatnonzero((lengths != dim) & (lengths != 0))
    if len(wrong):
        raise BadRowError(
            f"column {name!r}: a vector of {int(lengths[wrong[0]])} values, where value_dim is {dim}",
            f"give {dim} values, or set value_dim",
            row=int(rows[wrong[0]]),
        )
