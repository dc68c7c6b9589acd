"""Ids, one or many per row, with or without weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from recinfer.errors import BadRowError, InputError
from recinfer.features.columns.ragged import (
    Lengths,
    Ragged,
    bad_default,
    drop_empty,
    fill_empty,
    is_list,
    list_elements,
    list_lengths,
    map_items,
    split_strings,
    to_numbers,
)


@dataclass
class SparseColumn:
    """Ids of a batch: ``values`` int64 [sum], ``lengths`` [rows], ``weights`` float32 [sum] or None."""

    values: npt.NDArray[np.int64]
    lengths: Lengths
    weights: npt.NDArray[np.float32] | None = None


def parse_sparse(column: pa.Array, name: str, separator: str, default: str) -> SparseColumn:
    """Reads ids: integers, lists of integers or strings, strings split at ``separator``.

    Args:
        column: normalised column (see :func:`~recinfer.features.columns.ragged.normalise`), [rows].
        name: column name, for messages.
        separator: between the values of a string.
        default: ids that a row without a value gets, separated alike; "" for none.

    Raises:
        BadRowError: a value is no whole number.
        ConfigError: the default is none.
        InputError: the column has a type that cannot hold ids.
    """
    fill = default_ids(default, separator, name)
    # Unsigned numbers of 64 bits may not fit: they go the way that looks.
    if pa.types.is_integer(column.type) and not pa.types.is_uint64(column.type) and not column.null_count:
        return SparseColumn(column.to_numpy().astype(np.int64, copy=False), np.ones(len(column), np.int64))
    rows = ragged_values(column, name, separator)
    values = to_numbers(rows, pa.int64(), name)
    values, lengths = fill_empty(values, rows.lengths, fill)
    return SparseColumn(values, lengths)


def parse_weighted(column: pa.Array, name: str, separator: str, default: str) -> SparseColumn:
    """Reads weighted ids: map columns, or ``key:weight`` strings; a key without weight weighs 1."""
    if pa.types.is_map(column.type):
        keys, items = map_items(column)
        lengths = list_lengths(column)
        weights = to_numbers(Ragged(pc.fill_null(items, 1), lengths), pa.float32(), name)
        values = to_numbers(Ragged(keys, lengths), pa.int64(), name)
    else:
        rows = ragged_values(column, name, separator)
        values, weights = split_pairs(rows, name)
        lengths = rows.lengths
    default_values, default_weights = _default_pairs(default, separator, name)
    weights, _ = fill_empty(weights, lengths, default_weights)
    values, lengths = fill_empty(values, lengths, default_values)
    return SparseColumn(values, lengths, weights)


def ragged_values(column: pa.Array, name: str, separator: str) -> Ragged:
    """Rows of values from a scalar, string or list column; null and "" hold none."""
    kind = column.type
    if pa.types.is_string(kind):
        return split_strings(column, separator)
    if pa.types.is_map(kind):
        raise InputError(f"column {name!r} holds {kind}, but feature {name!r} is not weighted", "set `weighted: true`")
    if is_list(kind):
        if is_list(kind.value_type) or pa.types.is_map(kind.value_type):
            raise InputError(
                f"column {name!r} holds {kind}, but is no sequence feature", f"give {name!r} as list<int64>"
            )
        return drop_empty(Ragged(list_elements(column), list_lengths(column)))
    return drop_empty(Ragged(column, np.ones(len(column), np.int64)))


def split_pairs(rows: Ragged, name: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """``key:weight`` strings as ids int64 [n] and weights float32 [n]."""
    if not pa.types.is_string(rows.values.type):
        values = to_numbers(rows, pa.int64(), name)
        return values, np.ones(len(values), np.float32)
    pairs = pc.split_pattern(rows.values, ":", max_splits=1)
    sizes = list_lengths(pairs)
    pieces = list_elements(pairs)
    starts = np.cumsum(sizes) - sizes
    keys = to_numbers(Ragged(pieces.take(pa.array(starts)), rows.lengths), pa.int64(), name)
    weights = np.ones(len(keys), np.float32)
    has_weight = sizes == 2
    if has_weight.any():
        owner = np.repeat(np.arange(len(rows.lengths)), rows.lengths)[has_weight]
        given = Ragged(pieces.take(pa.array(starts[has_weight] + 1)), np.bincount(owner, minlength=len(rows.lengths)))
        weights[has_weight] = to_numbers(given, pa.float32(), name)
    return keys, weights


def default_ids(default: str, separator: str, name: str) -> npt.NDArray[np.int64]:
    """The ids of a default value, [n]; none for ""."""
    try:
        return np.array([int(piece) for piece in default.split(separator) if piece], np.int64)
    except (ValueError, OverflowError):
        raise bad_default(default, name, "a whole number, or several separated") from None


def _default_pairs(default: str, separator: str, name: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    rows = split_strings(pa.array([default], pa.string()), separator)
    try:
        return split_pairs(rows, name)
    except BadRowError:
        raise bad_default(default, name, "id:weight, or several separated") from None


def check_range(column: SparseColumn, name: str, rows_of_table: int) -> None:
    """Refuses ids outside their table, before any lookup could read wild memory.

    Raises:
        BadRowError: names the column, the id, the table size and the row.
    """
    values = column.values
    if len(values) == 0 or (values.min() >= 0 and values.max() < rows_of_table):
        return
    position = int(np.flatnonzero((values < 0) | (values >= rows_of_table))[0])
    row = Ragged(pa.array([], pa.int64()), column.lengths).row_of(position)
    raise BadRowError(
        f"column {name!r}: id {int(values[position])} is outside its table of {rows_of_table} rows",
        "map ids to 0 .. table size - 1, or enlarge the table in the feature config",
        row=row,
    )
