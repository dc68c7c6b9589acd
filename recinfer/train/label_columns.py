"""Labels, sample weights and grouping columns as tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from recinfer.errors import BadRowError, InputError


def check_number_columns(schema: pa.Schema, names: Sequence[str]) -> None:
    """Raises InputError for the first named column that does not hold numbers."""
    for name in names:
        kind = schema.field(name).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
            raise InputError(
                f"label or weight column {name!r} holds {kind}, not numbers", "write it as an integer or float column"
            )


def check_labels(batch: pa.RecordBatch, names: Sequence[str], path: str, first_row: int) -> None:
    """Refuses nulls and NaNs in the named columns.

    Args:
        path: the file that the rows come from.
        first_row: rows of the file before this batch.

    Raises:
        BadRowError: names column, file and row, counted from 1.
    """
    for name in names:
        column = batch.column(name)
        missing = _missing(column)
        if missing is None:
            continue
        row = int(np.flatnonzero(missing)[0])
        what = "null" if not column[row].is_valid else "not a number"
        raise BadRowError(
            f"label or weight column {name!r} is {what} in row {first_row + row + 1} of {path}",
            "remove such rows, or fill them in",
            row=row,
        )


def _missing(column: pa.Array) -> np.ndarray[Any, Any] | None:
    if column.null_count == 0 and not pa.types.is_floating(column.type):
        return None
    mask = pc.is_null(column, nan_is_null=True)
    return mask.to_numpy(zero_copy_only=False) if pc.any(mask).as_py() else None


def numbers(column: pa.Array) -> torch.Tensor:
    """A column without nulls as int64 (integers and booleans) or float32, [B]."""
    kind = torch.float32 if pa.types.is_floating(column.type) else torch.int64
    return torch.from_numpy(np.array(column.to_numpy(zero_copy_only=False))).to(kind)


class GroupCodes:
    """Numbers the values of grouping columns, the same value alike in every batch and on every rank."""

    def __init__(self) -> None:
        self._codes: dict[str, dict[Any, int]] = {}

    def __call__(self, name: str, column: pa.Array) -> torch.Tensor:
        """Codes of a column's values, int64 [B]; nulls are a value of their own, lists are compared whole.

        Raises:
            InputError: the column holds maps or structs, which are no keys.
        """
        if pa.types.is_nested(column.type):
            column = self._joined(name, column)
        known = self._codes.setdefault(name, {})
        encoded = column.dictionary_encode(null_encoding="encode")
        mapped = []
        for value in encoded.dictionary.to_pylist():
            if value not in known:
                known[value] = _code(value)
            mapped.append(known[value])
        codes = np.asarray(mapped, dtype=np.int64)
        return torch.from_numpy(codes[encoded.indices.to_numpy(zero_copy_only=False)])

    def _joined(self, name: str, column: pa.Array) -> pa.Array:
        if not pa.types.is_list(column.type) and not pa.types.is_large_list(column.type):
            raise InputError(f"grouping column {name!r} holds {column.type}", "group by a column of plain values")
        rows = column.to_pylist()
        return pa.array([None if row is None else "\x1d".join(map(str, row)) for row in rows], pa.string())


def _code(value: Any) -> int:
    """63 bits of the value's hash: two of a billion values share them about once in twenty runs."""
    text = f"{type(value).__name__}:{value}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
