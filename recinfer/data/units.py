"""Work units: the fixed ranges of rows into which a job cuts its input. Unit k makes exactly one part file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

TARGET_ROWS = 262_144
TARGET_BYTES = 64 << 20


@dataclass(frozen=True)
class Unit:
    """A range of rows in one file.

    Attributes:
        index: position in the plan, from 0; names the part file.
        path: the input file.
        first_row: rows of the file before this unit.
        rows: rows in this unit.
        first_group: first row group (Parquet; 0 for CSV).
        groups: number of row groups (Parquet; 0 for CSV).
        first_byte: where the unit begins (uncompressed CSV; else 0).
        bytes: what the unit takes: uncompressed bytes of its row groups (Parquet), or its byte range (CSV).
        partial: the job asked for fewer rows than the range holds: only the first ``rows`` of it are read.
    """

    index: int
    path: str
    first_row: int
    rows: int
    first_group: int = 0
    groups: int = 0
    first_byte: int = 0
    bytes: int = 0
    partial: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Unit:
        return cls(**fields)


def group_row_groups(
    sizes: Sequence[tuple[int, int]], target_rows: int, target_bytes: int
) -> Iterable[tuple[int, int]]:
    """Joins neighbouring row groups until a target would be passed; a row group above a target stands alone.

    Args:
        sizes: (rows, bytes) of each row group, in file order.

    Yields:
        (first row group, number of row groups) of each unit; groups without rows never make a unit of their own.
    """
    first, rows, size = 0, 0, 0
    for position, (group_rows, group_bytes) in enumerate(sizes):
        if rows and (rows + group_rows > target_rows or size + group_bytes > target_bytes):
            yield first, position - first
            first, rows, size = position, 0, 0
        rows += group_rows
        size += group_bytes
    if rows:
        yield first, len(sizes) - first


def number_units(units: Iterable[Unit]) -> list[Unit]:
    """Gives units their indices, in the order in which they come."""
    return [replace(unit, index=index) for index, unit in enumerate(units)]


def limit_units(units: Sequence[Unit], rows: int) -> list[Unit]:
    """The units that hold the first ``rows`` rows of the input; the last one is cut short where it must be."""
    kept: list[Unit] = []
    for unit in units:
        if rows <= 0:
            break
        kept.append(unit if unit.rows <= rows else replace(unit, rows=rows, partial=True))
        rows -= unit.rows
    return kept
