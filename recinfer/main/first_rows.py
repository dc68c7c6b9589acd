"""The first rows of a table, to try models on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recinfer.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

    from recinfer.data.readers.base import Reader

MOST_ROWS_A_READ = 8192


def first_rows(reader: Reader, columns: Sequence[str] | None, rows: int, hint: str) -> pa.Table:
    """The first rows, or all where there are fewer.

    Args:
        columns: to read; None for all.
        rows: how many.
        hint: what to do about a table without rows.

    Raises:
        InputError: there is no row, or the table cannot be read.
    """
    import pyarrow as pa

    batches: list[pa.RecordBatch] = []
    read = 0
    for unit in reader.units():
        for batch in reader.read(unit, columns, min(rows, MOST_ROWS_A_READ)):
            batches.append(batch)
            read += batch.num_rows
            if read >= rows:
                return pa.Table.from_batches(batches).slice(0, rows)
    if not read:
        raise InputError(f"{reader.spec} has no rows to compare scores on", hint)
    return pa.Table.from_batches(batches)
