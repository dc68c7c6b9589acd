"""Where rows come from, also after they were shuffled: a number that travels with each row as a column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from recinfer.data.units import Unit
from recinfer.errors import BadRowError

COLUMN = "__recinfer_row"
FIELD = pa.field(COLUMN, pa.int64())


class RowPlaces:
    """Numbers the rows of all units, and tells file and row of a number.

    Args:
        units: of the whole table, in order.
    """

    def __init__(self, units: Sequence[Unit]) -> None:
        self._units = units
        self._starts = np.cumsum([0, *(unit.rows for unit in units)])

    def number(self, part: pa.RecordBatch, unit: Unit, first: int) -> pa.RecordBatch:
        """Rows of a unit, from its row ``first`` on, with the column of numbers."""
        start = int(self._starts[unit.index]) + first
        return part.append_column(FIELD, pa.array(np.arange(start, start + part.num_rows)))

    def located(self, error: BadRowError, table: pa.RecordBatch) -> BadRowError:
        """An error about a row of a numbered table, with file and row, counted from 1."""
        if error.row is None:
            return error
        number = table.column(COLUMN)[error.row].as_py()
        position = int(np.searchsorted(self._starts, number, side="right")) - 1
        unit = self._units[position]
        row = unit.first_row + number - int(self._starts[position]) + 1
        return BadRowError(f"{error.message}, in row {row} of {unit.path}", error.hint, error.row)
