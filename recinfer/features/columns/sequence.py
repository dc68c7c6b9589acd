"""Sequences: per row a list of steps, each step some ids or one vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from recinfer.errors import InputError
from recinfer.features.columns.dense import check_dim, default_vector
from recinfer.features.columns.ragged import (
    Lengths,
    Ragged,
    drop_empty,
    fill_empty,
    is_list,
    list_elements,
    list_lengths,
    split_strings,
    to_numbers,
)
from recinfer.features.columns.sparse import default_ids


@dataclass
class SequenceColumn:
    """Sequences of a batch.

    Attributes:
        values: ids int64 [sum of key_lengths], or vectors float32 [sum of lengths, dim].
        lengths: steps per row, [rows].
        key_lengths: ids per step, [sum of lengths]; None for vectors.
    """

    values: npt.NDArray[Any]
    lengths: Lengths
    key_lengths: Lengths | None = None


def parse_sparse_sequence(column: pa.Array, name: str, delimiter: str, separator: str, default: str) -> SequenceColumn:
    """Reads sequences of ids: list<int>, list<list<int>>, list<string>, or strings.

    A string is split at ``delimiter`` into steps, a step at ``separator`` into ids. A row without steps gets one step
    of ``default``, unless that is ""; so does an empty step of a row that has others.

    Raises:
        BadRowError: an id is no whole number.
        InputError: the column has a type that cannot hold sequences of ids.
    """
    steps, steps_per_row = sequence_steps(column, name, delimiter)
    ids = step_values(steps, name, separator)
    values = to_numbers(_by_row(ids, steps_per_row), pa.int64(), name)
    fill = default_ids(default, separator, name)
    values, key_lengths = fill_empty(values, ids.lengths, fill)
    if len(fill) and (steps_per_row == 0).any():
        values = _insert_steps(values, key_lengths, steps_per_row, fill)
        key_lengths, _ = fill_empty(key_lengths, steps_per_row, np.array([len(fill)]))
        steps_per_row = np.maximum(steps_per_row, 1)
    return SequenceColumn(values, steps_per_row, key_lengths)


def parse_dense_sequence(
    column: pa.Array, name: str, delimiter: str, separator: str, default: str, dim: int
) -> SequenceColumn:
    """Reads sequences of vectors, float32 [sum of lengths, dim]: list<float>, list<list<float>>, or strings.

    Raises:
        BadRowError: a value is no number, or a step does not hold ``dim`` values.
        InputError: the column has a type that cannot hold sequences of vectors.
    """
    steps, steps_per_row = sequence_steps(column, name, delimiter)
    vectors = step_values(steps, name, separator)
    values = to_numbers(_by_row(vectors, steps_per_row), pa.float32(), name)
    check_dim(vectors.lengths, np.repeat(np.arange(len(steps_per_row)), steps_per_row), dim, name)
    fill = default_vector(default, separator, dim, name)
    values, _ = fill_empty(values, vectors.lengths, fill[0])
    steps_2d = np.ascontiguousarray(values, np.float32).reshape(-1, dim)
    if default:
        steps_2d, steps_per_row = fill_empty(steps_2d, steps_per_row, fill)
    return SequenceColumn(steps_2d, steps_per_row)


def sequence_steps(column: pa.Array, name: str, delimiter: str) -> tuple[pa.Array, Lengths]:
    """The steps of all rows, and how many each row holds."""
    kind = column.type
    if pa.types.is_string(kind):
        filled = pc.fill_null(column, "")
        pieces = pc.split_pattern(filled, delimiter)
        empty = pc.equal(filled, "").to_numpy(zero_copy_only=False)
        lengths = list_lengths(pieces)
        steps = list_elements(pieces)
        if empty.any():
            steps = steps.filter(pa.array(~np.repeat(empty, lengths)))
            lengths = np.where(empty, 0, lengths)
        return steps, lengths
    if is_list(kind):
        return list_elements(column), list_lengths(column)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind):
        # A bare number is a sequence of one step, as a bare id is a list of one id.
        rows = drop_empty(Ragged(column, np.ones(len(column), np.int64)))
        return rows.values, rows.lengths
    raise InputError(f"column {name!r} holds {kind}, which is no sequence", f"give {name!r} as a list, or as a string")


def step_values(steps: pa.Array, name: str, separator: str) -> Ragged:
    """The values of each step."""
    kind = steps.type
    if pa.types.is_string(kind):
        return split_strings(steps, separator)
    if is_list(kind):
        if is_list(kind.value_type):
            raise InputError(
                f"column {name!r} holds lists three deep", "a sequence has two levels: steps, and their values"
            )
        return drop_empty(Ragged(list_elements(steps), list_lengths(steps)))
    return drop_empty(Ragged(steps, np.ones(len(steps), np.int64)))


def _by_row(values: Ragged, steps_per_row: Lengths) -> Ragged:
    """The same values, counted per row in place of per step, so that messages name the row."""
    owner = np.repeat(np.arange(len(steps_per_row)), steps_per_row)
    per_row = np.bincount(owner, weights=values.lengths, minlength=len(steps_per_row)).astype(np.int64)
    return Ragged(values.values, per_row)


def _insert_steps(
    values: npt.NDArray[Any], key_lengths: Lengths, steps_per_row: Lengths, fill: npt.NDArray[np.int64]
) -> npt.NDArray[Any]:
    """Gives each row without steps the ids of one default step."""
    owner = np.repeat(np.arange(len(steps_per_row)), steps_per_row)
    per_row = np.bincount(owner, weights=key_lengths, minlength=len(steps_per_row)).astype(np.int64)
    # A row whose steps are all empty holds no ids, yet it has steps: only rows without steps are filled.
    without = steps_per_row == 0
    total = np.where(without, len(fill), per_row)
    out = np.empty(int(total.sum()), np.int64)
    from_default = np.repeat(without, total)
    out[~from_default] = values
    out[from_default] = np.tile(fill, int(without.sum()))
    return out
