"""The plan of a job: everything that decides its output, fixed before the first row is read."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from recinfer.data.files import input_errors, parse_json
from recinfer.data.inputs import InputFile, PlannedTable
from recinfer.data.readers.base import Reader
from recinfer.data.storage import AnyPlace, storage_of
from recinfer.data.units import TARGET_BYTES, TARGET_ROWS, Unit, limit_units
from recinfer.errors import InputError, PlanMismatchError

FORMAT = 1


@dataclass(frozen=True)
class PlannedInput:
    """An input file as the plan saw it; ``rows`` are those that its units hold."""

    path: str
    size: int
    mtime_ns: int
    rows: int

    @property
    def fingerprint(self) -> tuple[int, int]:
        return self.size, self.mtime_ns


@dataclass(frozen=True)
class Plan:
    """What a job will do.

    Attributes:
        inputs: the input files and their fingerprints; files without rows as well.
        units: the work units; unit k makes part k.
        input_schema: what the reader gives.
        output_schema: what every part holds.
        kind: the writer, a key of :data:`recinfer.data.writers.WRITERS`.
        model: fingerprint of what scores the rows; "" where nothing does.
        options: whatever else the output depends on, as JSON values.
        scoring_chunk: where units are cut for scoring, since rounding depends on it: any JSON value, None without.
        input_folders: local folders that are input as a whole; the output must not lie there. Not compared.
    """

    inputs: list[PlannedInput]
    units: list[Unit]
    input_schema: pa.Schema
    output_schema: pa.Schema
    kind: str = "ParquetWriter"
    model: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    scoring_chunk: Any = None
    input_folders: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return sum(unit.rows for unit in self.units)

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "writer": self.kind,
            "model": self.model,
            "options": self.options,
            "scoring_chunk": self.scoring_chunk,
            "rows": self.rows,
            "inputs": [vars(file) for file in self.inputs],
            "input_folders": self.input_folders,
            "input_schema": schema_to_json(self.input_schema),
            "output_schema": schema_to_json(self.output_schema),
            "units": [unit.to_json() for unit in self.units],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Plan:
        """Raises KeyError or TypeError where something is missing; see :func:`load_plan`."""
        return cls(
            inputs=[PlannedInput(**file) for file in value["inputs"]],
            units=[Unit.from_json(unit) for unit in value["units"]],
            input_schema=schema_from_json(value["input_schema"]),
            output_schema=schema_from_json(value["output_schema"]),
            kind=value["writer"],
            model=value["model"],
            options=value["options"],
            scoring_chunk=value["scoring_chunk"],
            input_folders=value["input_folders"],
        )


def make_plan(
    reader: Reader,
    output_schema: pa.Schema,
    *,
    kind: str = "ParquetWriter",
    model: str = "",
    options: Mapping[str, Any] | None = None,
    scoring_chunk: Any = None,
    max_rows: int | None = None,
    target_rows: int = TARGET_ROWS,
    target_bytes: int = TARGET_BYTES,
    previous: Plan | None = None,
) -> Plan:
    """Plans a job over everything that a reader reads.

    Args:
        max_rows: take only the first rows of the input.
        previous: the plan of the folder to be resumed: where the input is as it was then, its units are taken from
            there instead of being counted anew (which for CSV means reading everything).

    Raises:
        InputError: the input has no rows.
    """
    targets = {"target_rows": target_rows, "target_bytes": target_bytes, "max_rows": max_rows}
    units = _known_units(reader, previous, targets)
    if units is None:
        units = reader.units(target_rows, target_bytes)
        units = units if max_rows is None else limit_units(units, max_rows)
    if not units:
        raise InputError(
            f"the input {reader.spec} has no rows ({len(reader.files)} files)",
            "check that the step before has written them",
        )
    rows: dict[str, int] = {}
    for unit in units:
        rows[unit.path] = rows.get(unit.path, 0) + unit.rows
    return Plan(
        inputs=[PlannedInput(file.path, file.size, file.mtime_ns, rows.get(file.path, 0)) for file in reader.files],
        units=units,
        input_schema=reader.schema,
        output_schema=output_schema.remove_metadata(),
        kind=kind,
        model=model,
        options={**(options or {}), **targets},
        scoring_chunk=scoring_chunk,
        input_folders=reader.folders,
    )


def load_plan(path: AnyPlace) -> Plan | None:
    """Reads a plan file, None where there is none.

    Raises:
        PlanMismatchError: another version of recinfer wrote it.
        InputError: it is damaged, or cannot be read.
    """
    with input_errors(path):
        try:
            value = parse_json(storage_of(path).read(path), path)
        except (FileNotFoundError, NotADirectoryError):
            return None
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise PlanMismatchError(
            f"{path} was written by another version of recinfer", "use that version, or start again with --overwrite"
        )
    try:
        return Plan.from_json(value)
    except (KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{path} is damaged: {error!r}", "start again with --overwrite") from error


def as_input_files(plan: Plan) -> list[InputFile]:
    """The plan's input files, as readers list them."""
    return [InputFile(file.path, file.size, file.mtime_ns) for file in plan.inputs]


def planned_table(plan: Plan) -> PlannedTable:
    """The plan's input, for a reader that is to see what the plan saw."""
    return PlannedTable(as_input_files(plan), plan.input_folders, plan.input_schema)


def schema_to_json(schema: pa.Schema) -> dict[str, Any]:
    """A schema for people (names and types) and exactly (Arrow IPC, base64)."""
    return {
        "columns": [{"name": field.name, "type": str(field.type)} for field in schema],
        "arrow_ipc": base64.b64encode(schema.remove_metadata().serialize()).decode(),
    }


def schema_from_json(value: Mapping[str, Any]) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(value["arrow_ipc"])))


def _known_units(reader: Reader, previous: Plan | None, targets: Mapping[str, Any]) -> list[Unit] | None:
    if previous is None or as_input_files(previous) != reader.files or not previous.input_schema.equals(reader.schema):
        return None
    if any(previous.options.get(name) != value for name, value in targets.items()):
        return None
    return [replace(unit) for unit in previous.units]
