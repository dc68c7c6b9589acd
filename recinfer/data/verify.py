"""Reads an output folder again and holds it against its plan and its records."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recinfer.data.files import input_errors, parse_json, sha256_of
from recinfer.data.layout import Layout
from recinfer.data.plan import Plan, load_plan
from recinfer.data.readers.csv_file import read_chunks
from recinfer.data.readers.csv_header import header_names
from recinfer.data.readers.csv_rows import row_blocks
from recinfer.data.records import UnitRecord, parse_record, total
from recinfer.data.storage import AnyPlace, Storage, place_of, storage_of
from recinfer.data.storage.remote_path import is_remote
from recinfer.data.units import Unit
from recinfer.data.writers import writer_class
from recinfer.errors import RecinferError


@dataclass
class VerifyReport:
    """What was found.

    Attributes:
        path: the folder.
        problems: one line each; none where the output is complete.
        units: units in the plan.
        parts: units with a recorded part.
        rows: rows in recorded parts.
        quarantined: rows in ``_quarantine``.
        bytes: of recorded parts.
    """

    path: AnyPlace
    problems: list[str] = field(default_factory=list)
    units: int = 0
    parts: int = 0
    rows: int = 0
    quarantined: int = 0
    bytes: int = 0

    @property
    def complete(self) -> bool:
        return not self.problems


def verify_output(path: str | os.PathLike[str]) -> VerifyReport:
    """Checks plan, records, sizes, SHA-256, rows, schemas, stray files and ``_SUCCESS``; changes nothing.

    Raises:
        InputError: the folder cannot be read, so that nothing can be said.
    """
    place = place_of(path) if is_remote(path) else Path(path)
    report = VerifyReport(place)
    try:
        plan = load_plan(Layout(report.path).plan)
    except RecinferError as error:
        if isinstance(error.__cause__, OSError):
            raise
        report.problems.append(error.message)
        return report
    if plan is None:
        report.problems.append(f"{path} is no output of recinfer: it has no _recinfer/plan.json")
        return report
    layout: Layout[Any] = Layout(place, writer_class(plan.kind).suffix, len(plan.units))
    with input_errors(place):
        records = _check_all(storage_of(place), layout, plan, report)
    totals = total(records.values())
    report.units, report.parts, report.rows = len(plan.units), totals.parts, totals.rows
    report.quarantined, report.bytes = totals.quarantined, totals.bytes
    return report


def _check_all(storage: Storage[Any], layout: Layout[Any], plan: Plan, report: VerifyReport) -> dict[int, UnitRecord]:
    """Adds all problems to the report; returns the records."""
    records = {}
    contents, sizes = storage.read_all(layout.units), storage.sizes(layout.root)
    for unit in plan.units:
        record, problems = _check_record(layout, unit, contents)
        report.problems += problems
        if record is not None:
            records[unit.index] = record
            report.problems += _check_part(storage, layout.part(unit.index), sizes, plan, record)
            report.problems += _check_rows(storage, layout, unit, record)
    report.problems += _stray_files(storage, layout, plan, records)
    report.problems += _check_success(storage, layout, plan, records)
    return records


def _check_record(
    layout: Layout[Any], unit: Unit, contents: Mapping[str, bytes]
) -> tuple[UnitRecord | None, list[str]]:
    try:
        record = parse_record(layout, unit.index, contents)
    except (RecinferError, TypeError) as error:
        return None, [f"the record of unit {unit.index} is damaged: {error}"]
    if record is None:
        return None, [
            f"unit {unit.index} is not done: rows {unit.first_row + 1} to {unit.first_row + unit.rows} of {unit.path}"
        ]
    return record, []


def _check_part(
    storage: Storage[Any], place: Any, sizes: Mapping[str, int], plan: Plan, record: UnitRecord
) -> Iterator[str]:
    size = sizes.get(place.name)
    if size is None:
        yield f"{place.name} is missing"
    elif size != record.bytes:
        yield f"{place.name} has {size} bytes, {record.bytes} were written"
    else:
        with storage.local_copy(place) as part:
            yield from _check_file(part, plan, record)


def _check_file(part: Path, plan: Plan, record: UnitRecord) -> Iterator[str]:
    if sha256_of(part) != record.sha256:
        yield f"{part.name} is damaged: its content is not what was written"
        return
    try:
        yield from _check_content(part, plan, record)
    except (RecinferError, pa.ArrowException, OSError) as error:
        yield f"{part.name} cannot be read: {str(error).splitlines()[0]}"


def _check_content(part: Path, plan: Plan, record: UnitRecord) -> Iterator[str]:
    if plan.kind == "ParquetWriter":
        file = pq.ParquetFile(part)
        rows, fits = file.metadata.num_rows, file.schema_arrow.equals(plan.output_schema)
    else:
        rows, fits = -1, False
        for block in row_blocks(read_chunks(str(part)), ",", part.name):
            if rows < 0:
                fits = header_names(bytes(block.text(0, 1)), ",", part.name) == plan.output_schema.names
            rows += block.rows
    if rows != record.rows:
        yield f"{part.name} has {rows} rows, {record.rows} were written"
    if not fits:
        yield f"{part.name} has another schema than the plan"


def _check_rows(storage: Storage[Any], layout: Layout[Any], unit: Unit, record: UnitRecord) -> Iterator[str]:
    if record.rows + record.quarantined != unit.rows:
        yield f"unit {unit.index}: {record.rows} rows + {record.quarantined} quarantined, but the plan has {unit.rows}"
    if not record.quarantined:
        return
    path = layout.quarantined(unit.index)
    try:
        with storage.local_copy(path) as local:
            rows = pq.read_metadata(local).num_rows
    except (pa.ArrowException, OSError) as error:
        yield f"{path.name} cannot be read: {str(error).splitlines()[0]}"
        return
    if rows != record.quarantined:
        yield f"{path.name} has {rows} rows, {record.quarantined} were written"


def _stray_files(
    storage: Storage[Any], layout: Layout[Any], plan: Plan, records: dict[int, UnitRecord]
) -> Iterator[str]:
    expected = {layout.part(unit.index).name for unit in plan.units}
    for name in storage.names(layout.root):
        if not name.startswith(("_", ".")) and name not in expected:
            yield f"{name} does not belong to the output"
    quarantined = {layout.quarantined(index).name for index, record in records.items() if record.quarantined}
    for name in storage.names(layout.quarantine):
        if name not in quarantined:
            yield f"_quarantine/{name} does not belong to the output"


def _check_success(
    storage: Storage[Any], layout: Layout[Any], plan: Plan, records: dict[int, UnitRecord]
) -> Iterator[str]:
    try:
        success = parse_json(storage.read(layout.success), layout.success)
        if success["parts"] != [records[unit.index].to_json() for unit in plan.units if unit.index in records]:
            yield "_SUCCESS lists other parts than the records"
        totals = total(records.values())
        for name in ("rows_in", "rows", "quarantined", "bytes"):
            if success[name] != getattr(totals, name):
                yield f"_SUCCESS says {name} {success[name]}, the records {getattr(totals, name)}"
    except FileNotFoundError:
        yield f"there is no _SUCCESS: the job has not finished ({len(records)} of {len(plan.units)} units are done)"
    except (RecinferError, KeyError, TypeError) as error:
        yield f"_SUCCESS is damaged: {error}"
