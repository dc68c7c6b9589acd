"""What happens to rows that cannot be read or parsed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pyarrow as pa

from recinfer.data.bad_rows import BadRow
from recinfer.data.quarantine import QuarantinedRow, SkippedRows, quarantined_rows
from recinfer.data.readers.base import OnBadRow
from recinfer.data.units import Unit
from recinfer.errors import BadRowError


class QuarantinePolicy:
    """Either the first bad row is an error, or bad rows are put aside, up to a limit.

    Args:
        enabled: whether to put rows aside.
        limit: most rows of the output; None for any number.
        already: rows that earlier runs on the output have put aside.
        add: counts rows of all processes that write to the output and returns their sum; None where this is the only
            one. Its sum begins with what earlier runs have put aside.
    """

    def __init__(
        self,
        enabled: bool = False,
        limit: int | None = None,
        already: int = 0,
        add: Callable[[int], int] | None = None,
    ) -> None:
        self.enabled = enabled
        self.limit = limit
        self.rows_seen = already
        self._add = add or self._add_here
        self._lock = threading.Lock()
        self._skipped: dict[int, SkippedRows] = {}

    def on_unreadable(self, unit: Unit) -> OnBadRow | None:
        """What a reader calls for each row that it cannot read; None makes it an error."""
        if not self.enabled:
            return None
        skipped = self._skipped.setdefault(unit.index, SkippedRows(unit.first_row))

        def put_aside(row: QuarantinedRow) -> None:
            skipped.add(row)
            self.count(1, row.reason)

        return put_aside

    def count(self, rows: int, reason: str = "") -> None:
        """Counts bad rows.

        Raises:
            BadRowError: there are more than the limit.
        """
        if not rows:
            return
        seen = self._add(rows)
        if self.limit is not None and seen > self.limit:
            raise BadRowError(
                f"{seen} rows cannot be used, more than --max-bad-rows {self.limit}"
                + (f"; the last: {reason}" if reason else ""),
                "mend the input, or raise --max-bad-rows",
            )

    def _add_here(self, rows: int) -> int:
        with self._lock:
            self.rows_seen += rows
            return self.rows_seen

    def rows(self, unit: Unit, first_row: int, batch: pa.RecordBatch, bad: Sequence[BadRow]) -> list[QuarantinedRow]:
        """The bad rows of a batch, with their numbers in the file.

        Args:
            first_row: of the batch, among the rows that the reader gave out for the unit.
        """
        skipped = self._skipped.get(unit.index) or SkippedRows(unit.first_row)
        positions = [row.row for row in bad]
        numbers = [skipped.file_row(first_row + position) for position in positions]
        return quarantined_rows(unit.path, batch, positions, numbers, [row.reason for row in bad])

    def unreadable(self, unit: Unit) -> list[QuarantinedRow]:
        """The rows of a unit that the reader could not read."""
        skipped = self._skipped.pop(unit.index, None)
        return skipped.rows if skipped else []
