"""Copies a table through readers, units and commit, without any model."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import pyarrow as pa

from recinfer.data.claim import previous_plan
from recinfer.data.commit import OutputFolder
from recinfer.data.plan import make_plan
from recinfer.data.quarantine import SkippedRows
from recinfer.data.readers import open_reader
from recinfer.data.readers.base import Reader
from recinfer.data.readers.csv_options import CsvOptions
from recinfer.data.records import Totals
from recinfer.data.units import TARGET_BYTES, TARGET_ROWS, Unit
from recinfer.errors import BadRowError


def copy_table(
    input_spec: str,
    output_path: str | os.PathLike[str],
    *,
    columns: Sequence[str] | None = None,
    dataset_type: str | None = None,
    csv: CsvOptions | None = None,
    kind: str = "ParquetWriter",
    batch_rows: int = 65_536,
    target_rows: int = TARGET_ROWS,
    target_bytes: int = TARGET_BYTES,
    max_bad_rows: int | None = None,
    resume: bool = True,
    overwrite: bool = False,
    on_unit: Callable[[Unit], None] | None = None,
) -> Totals:
    """Copies rows, in order, exactly once; a run that was stopped is continued by the same call.

    Args:
        columns: names to copy, None for all.
        kind: ``ParquetWriter`` or ``CsvWriter``.
        max_bad_rows: rows that cannot be read go to ``_quarantine``, up to this number; None: the first is an error.
        on_unit: called after each unit that is published.

    Raises:
        InputError, BadRowError, OutputError, PlanMismatchError: see :meth:`Reader.read` and :meth:`OutputFolder.open`.
    """
    reader = open_reader(input_spec, dataset_type, csv)
    names = list(reader.schema.names if columns is None else columns)
    reader.check_columns(names)
    plan = make_plan(
        reader,
        pa.schema([reader.schema.field(name) for name in names]),
        kind=kind,
        options={"columns": names},
        target_rows=target_rows,
        target_bytes=target_bytes,
        previous=previous_plan(output_path, overwrite),
    )
    with OutputFolder.open(output_path, plan, resume=resume, overwrite=overwrite) as folder:
        for unit in folder.pending():
            _copy_unit(reader, folder, unit, names, batch_rows, max_bad_rows)
            if on_unit is not None:
                on_unit(unit)
        return folder.finish()


def _copy_unit(
    reader: Reader, folder: OutputFolder, unit: Unit, names: list[str], batch_rows: int, max_bad_rows: int | None
) -> None:
    skipped = SkippedRows(unit.first_row)
    attempt = folder.attempt(unit)
    try:
        for batch in reader.read(unit, names, batch_rows, None if max_bad_rows is None else skipped.add):
            _check_bad_rows(folder.totals.quarantined + len(skipped), max_bad_rows, skipped)
            attempt.write(batch)
        _check_bad_rows(folder.totals.quarantined + len(skipped), max_bad_rows, skipped)
        attempt.quarantine(skipped.rows)
        attempt.publish()
    except BaseException:
        attempt.abandon()
        raise


def _check_bad_rows(count: int, most: int | None, skipped: SkippedRows) -> None:
    if most is not None and count > most:
        last = "".join(f"; the last: {row.file} row {row.row}: {row.reason}" for row in skipped.rows[-1:])
        raise BadRowError(f"{count} bad rows, {most} are allowed{last}", "raise --max-bad-rows")
