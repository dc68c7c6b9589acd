"""One try at one unit: rows go to a file of its own, which becomes the unit's part only when it is whole."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Any

import pyarrow as pa

from recinfer.data.files import output_errors, sync_file
from recinfer.data.layout import Layout
from recinfer.data.plan import Plan
from recinfer.data.quarantine import QuarantinedRow, write_quarantine
from recinfer.data.records import UnitRecord
from recinfer.data.storage import Storage
from recinfer.data.units import Unit
from recinfer.data.writers import FileStats, Writer, open_writer
from recinfer.errors import StageError


class Attempt:
    """Writes a unit's rows, in input order; used by one thread at a time.

    Args:
        done: called with the record once the part is in place.
    """

    def __init__(
        self,
        storage: Storage[Any],
        layout: Layout[Any],
        plan: Plan,
        unit: Unit,
        done: Callable[[UnitRecord], None],
    ) -> None:
        self.unit = unit
        self._storage = storage
        self._layout = layout
        self._plan = plan
        self._done = done
        name = f"{layout.number(unit.index)}-{uuid.uuid4().hex[:8]}"
        drafts = storage.drafts(layout)
        self._path = drafts / f"{name}{layout.suffix}"
        self._quarantine_path = drafts / f"{name}.quarantine"
        self._writer: Writer | None = None
        self._quarantined: list[QuarantinedRow] = []

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds rows; the batch has the plan's output schema.

        Raises:
            OutputError: the batch does not fit, or the disk does not take it.
        """
        self._open().write(batch)

    def quarantine(self, rows: Iterable[QuarantinedRow]) -> None:
        """Adds rows of the unit that are not written."""
        self._quarantined.extend(rows)

    def publish(self) -> UnitRecord:
        """Makes the attempt the unit's part, on disk before anything says so, and records it.

        Raises:
            OutputError: the disk does not take it; the attempt is gone then, and the unit is still to do.
            StageError: rows written and quarantined are not the unit's rows.
        """
        try:
            stats = self._open().close()
            self._check_rows(stats)
            with output_errors(self._layout.root):
                self._publish_quarantine()
                part = self._layout.part(self.unit.index)
                self._storage.publish(self._path, part)
                record = UnitRecord(
                    self.unit.index, part.name, stats.rows, stats.bytes, stats.sha256, len(self._quarantined)
                )
                self._storage.record(self._layout.record(self.unit.index), record.to_json())
        except BaseException:
            self.abandon()
            raise
        self._done(record)
        return record

    def abandon(self) -> None:
        """Removes what was written; safe to call at any time, also twice."""
        with output_errors(self._path):
            if self._writer is not None:
                self._writer.discard()
            self._quarantine_path.unlink(missing_ok=True)

    def _open(self) -> Writer:
        if self._writer is None:
            self._writer = open_writer(self._path, self._plan.output_schema, self._plan.kind)
        return self._writer

    def _check_rows(self, stats: FileStats) -> None:
        if stats.rows + len(self._quarantined) != self.unit.rows:
            raise StageError(
                f"unit {self.unit.index} ({self.unit.path}, row {self.unit.first_row + 1} on): "
                f"of {self.unit.rows} rows, {stats.rows} were written and {len(self._quarantined)} quarantined"
            )

    def _publish_quarantine(self) -> None:
        """Puts the quarantined rows in place before the part; removes those of an attempt that was not recorded."""
        place = self._layout.quarantined(self.unit.index)
        if not self._quarantined:
            self._storage.remove_unrecorded(place)
            return
        write_quarantine(self._quarantine_path, self._quarantined)
        sync_file(self._quarantine_path)
        self._storage.publish(self._quarantine_path, place)
