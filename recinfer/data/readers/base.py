"""The contract of readers: files, schema, units, and the rows of a unit."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from recinfer.data.inputs import InputFile, PlannedTable, check_unchanged, input_folders, list_inputs
from recinfer.data.quarantine import QuarantinedRow
from recinfer.data.readers.recut import recut
from recinfer.data.units import TARGET_BYTES, TARGET_ROWS, Unit
from recinfer.errors import InputError

OnBadRow = Callable[[QuarantinedRow], None]


class Reader(ABC):
    """Reads a table that lies in one or more files. Threads may read different units at once.

    Args:
        spec: what :func:`recinfer.data.inputs.list_inputs` takes.
        threads: 1 decodes on the calling thread alone; more lets Arrow's own pool help.
        planned: the table as a plan has it, instead of what ``spec`` names now.

    Attributes:
        files: the input files, sorted.
        folders: local folders that are input as a whole.
        schema: columns and types that every batch has (before projection).
    """

    schema: pa.Schema

    def __init__(self, spec: str, threads: int = 1, planned: PlannedTable | None = None) -> None:
        self.spec = spec
        self.files: list[InputFile] = list_inputs(spec) if planned is None else planned.files
        self.folders = input_folders(spec) if planned is None else planned.folders
        self.threads = threads
        self._file_of = {file.path: file for file in self.files}

    @abstractmethod
    def units(self, target_rows: int = TARGET_ROWS, target_bytes: int = TARGET_BYTES) -> list[Unit]:
        """Cuts the input into work units; every row lies in exactly one, and files without rows make none."""

    @abstractmethod
    def _batches(
        self, unit: Unit, columns: list[str], batch_rows: int, on_bad_row: OnBadRow | None
    ) -> Iterator[pa.RecordBatch]:
        """Rows of a unit in batches of any size, columns in the order asked for."""

    def read(
        self,
        unit: Unit,
        columns: Sequence[str] | None = None,
        batch_rows: int = 8192,
        on_bad_row: OnBadRow | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Reads a unit's rows in input order.

        Args:
            columns: names to read, in the order wanted; None for all.
            batch_rows: rows of each batch; only the last batch of the unit may have fewer.
            on_bad_row: called for each row that cannot be read, which is then left out; None makes it an error.

        Raises:
            InputError: the file cannot be read, lacks a column, or is not the file that the plan saw.
            BadRowError: a row cannot be read and ``on_bad_row`` is None.
        """
        names = self.schema.names if columns is None else list(columns)
        self.check_columns(names)
        if unit.path not in self._file_of:
            raise InputError(
                f"{unit.path} is not among the input files: the input changed since the plan",
                "start again with --overwrite",
            )
        check_unchanged(self._file_of[unit.path])
        return self._counted(unit, names, batch_rows, on_bad_row)

    def check_columns(self, names: Sequence[str]) -> None:
        """Raises InputError for the first name that the table does not have."""
        for name in names:
            if name not in self.schema.names:
                near = difflib.get_close_matches(name, self.schema.names, 1)
                raise InputError(
                    f"column {name!r} is not in {self.files[0].path}",
                    f"did you mean {near[0]!r}?" if near else f"the columns are {', '.join(self.schema.names)}",
                )

    def _counted(
        self, unit: Unit, names: list[str], batch_rows: int, on_bad_row: OnBadRow | None
    ) -> Iterator[pa.RecordBatch]:
        bad = 0

        def count_bad(row: QuarantinedRow) -> None:
            nonlocal bad
            bad += 1
            if on_bad_row is not None:
                on_bad_row(row)

        # A batch without columns forgets its rows when it is joined, so one column is read to count them.
        read = names or self.schema.names[:1]
        rows = 0
        for batch in recut(
            self._batches(unit, read, batch_rows, count_bad if on_bad_row is not None else None), batch_rows
        ):
            rows += batch.num_rows
            yield batch if names else batch.select([])
        if rows + bad != unit.rows:
            raise InputError(
                f"{unit.path}: the input changed since the plan (unit {unit.index}: {unit.rows} -> {rows + bad} rows)",
                "start again with --overwrite",
            )
