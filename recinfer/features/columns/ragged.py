"""Ragged rows: flat values plus how many of them each row holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from recinfer.errors import BadRowError, ConfigError, InputError

Lengths = npt.NDArray[np.int64]
SEPARATED = "several in one text stand apart by data_config.fg_encoded_multival_sep"


@dataclass
class Ragged:
    """Values of all rows one after the other.

    Attributes:
        values: flat Arrow array, never null, [sum of lengths].
        lengths: values per row, [rows].
    """

    values: pa.Array
    lengths: Lengths

    def row_of(self, position: int) -> int:
        """The row that holds the value at a flat position."""
        return int(np.searchsorted(np.cumsum(self.lengths), position, side="right"))


def normalise(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One contiguous array of a plain type: no chunks, dictionaries, views or fixed-size lists."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    column = without_views(column)
    target = plain_type(column.type)
    return column if column.type == target else column.cast(target)


def without_views(column: pa.Array) -> pa.Array:
    """Lists in place of list views, on any level; Arrow's own cast of a view reads past its end (seen in 26.0)."""
    if not is_list(column.type) or "list_view" not in str(column.type):
        return column
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    elements = without_views(column.flatten())
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), elements, mask=pc.is_null(column))


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type that :func:`normalise` gives for a column type."""
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        return pa.string()
    if pa.types.is_string_view(kind) or pa.types.is_large_binary(kind):
        return pa.string()
    if is_list(kind):
        return pa.list_(plain_type(kind.value_type))
    if pa.types.is_map(kind):
        return pa.map_(plain_type(kind.key_type), plain_type(kind.item_type))
    if pa.types.is_boolean(kind):
        return pa.int8()
    return kind


def is_list(kind: pa.DataType) -> bool:
    """Whether a type is any of Arrow's list types."""
    return (
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_list_view(kind)
        or pa.types.is_large_list_view(kind)
    )


def list_lengths(column: pa.Array) -> Lengths:
    """Elements per row of a list or map column; a null row has none."""
    offsets = column.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
    lengths = np.diff(offsets)
    if column.null_count:
        lengths = np.where(valid_mask(column), lengths, 0)
    return lengths


def list_elements(column: pa.Array) -> pa.Array:
    """The elements of a list column's rows, one after the other; a null row gives none."""
    return column.flatten()


def map_items(column: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Keys and items of a map column's rows; a null row gives none."""
    if column.null_count:
        # A null row of a map may still span entries: write the rows anew without it.
        column = column.filter(pc.is_valid(column))
    first, last = column.offsets[0].as_py(), column.offsets[len(column)].as_py()
    return column.keys.slice(first, last - first), column.items.slice(first, last - first)


def valid_mask(column: pa.Array) -> npt.NDArray[np.bool_]:
    """True where a value is not null, [rows]."""
    return pc.is_valid(column).to_numpy(zero_copy_only=False)


def split_strings(column: pa.Array, separator: str) -> Ragged:
    """Splits each string at a separator; null and "" give no value, an empty piece is dropped."""
    filled = pc.fill_null(column, "")
    pieces = pc.split_pattern(filled, separator)
    return drop_empty(Ragged(list_elements(pieces), list_lengths(pieces)))


def drop_empty(rows: Ragged) -> Ragged:
    """Rows without their null and "" values."""
    values = rows.values
    keep = pc.is_valid(values)
    if pa.types.is_string(values.type):
        keep = pc.and_(keep, pc.fill_null(pc.not_equal(values, ""), False))
    mask = keep.to_numpy(zero_copy_only=False)
    if mask.all():
        return rows
    owner = np.repeat(np.arange(len(rows.lengths)), rows.lengths)
    return Ragged(values.filter(keep), np.bincount(owner[mask], minlength=len(rows.lengths)).astype(np.int64))


def to_numbers(rows: Ragged, kind: pa.DataType, name: str) -> npt.NDArray[Any]:
    """Flat values as int64 or float32.

    Raises:
        BadRowError: a value is no number; names the column, the row and the value.
        InputError: the column's type can never be a number.
    """
    values = rows.values
    if not is_numeric_like(values.type, kind):
        raise InputError(
            f"column {name!r} holds {values.type}, which cannot be read as {kind}", f"give {name!r} as {kind}"
        )
    if values.type == kind:
        return values.to_numpy(zero_copy_only=False)
    if pa.types.is_string(values.type):
        values = pc.utf8_trim_whitespace(values)
    try:
        return values.cast(kind).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        raise _first_bad_value(rows, values, kind, name) from None


def is_numeric_like(kind: pa.DataType, target: pa.DataType) -> bool:
    """Whether values of a type can be cast to the target: integers for ids, any number for floats, strings for both."""
    if pa.types.is_null(kind) or pa.types.is_string(kind) or pa.types.is_integer(kind):
        return True
    return pa.types.is_floating(target) and (pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _first_bad_value(rows: Ragged, values: pa.Array, kind: pa.DataType, name: str) -> BadRowError:
    low, high = 0, len(values)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            values.slice(low, middle - low).cast(kind)
            low = middle
        except pa.ArrowInvalid:
            high = middle
    row, value = rows.row_of(low), values[low].as_py()
    if not pa.types.is_integer(kind):
        return BadRowError(f"column {name!r}: {value!r} is not a number", SEPARATED, row)
    if str(value).removeprefix("-").isdecimal():
        return BadRowError(f"column {name!r}: {value} does not fit into 64 bits", "give ids below 2**63", row)
    return BadRowError(f"column {name!r}: {value!r} is not a whole number", f"give ids as numbers; {SEPARATED}", row)


def bad_default(default: str, name: str, wanted: str) -> ConfigError:
    """The error for a ``fg_encoded_default_value`` that its feature cannot hold."""
    return ConfigError(
        f"feature {name!r}: fg_encoded_default_value {default!r} is not {wanted}", "mend it in the feature config"
    )


def fill_empty(
    values: npt.NDArray[Any], lengths: Lengths, default: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], Lengths]:
    """Gives each row without a value the default's values (shape [n] or [n, dim], as ``values``)."""
    empty = lengths == 0
    if len(default) == 0 or not empty.any():
        return values, lengths
    filled = np.where(empty, len(default), lengths)
    out = np.empty((int(filled.sum()), *values.shape[1:]), values.dtype)
    from_default = np.repeat(empty, filled)
    out[~from_default] = values
    out[from_default] = np.tile(default, (int(empty.sum()),) + (1,) * (default.ndim - 1))
    return out, filled
