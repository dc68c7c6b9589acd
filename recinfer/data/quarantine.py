"""Rows that cannot be used: where they were, why, and what they held, beside the output in ``_quarantine/``."""

from __future__ import annotations

import base64
import json
from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

QUARANTINE_SCHEMA = pa.schema(
    [("file", pa.string()), ("row", pa.int64()), ("reason", pa.string()), ("columns", pa.string())]
)


@dataclass(frozen=True)
class QuarantinedRow:
    """A row that was left out.

    Attributes:
        file: path of its file.
        row: its number in the file; the first row of data is 1, a CSV header is not counted.
        reason: why it was left out.
        columns: its values as a JSON object, or as a JSON list of cells where a CSV row does not fit its header.
    """

    file: str
    row: int
    reason: str
    columns: str


class SkippedRows:
    """The rows that a reader left out of one unit, so that a batch's rows can be traced to the file.

    Use its :meth:`add` as a reader's ``on_bad_row``.
    """

    def __init__(self, first_row: int) -> None:
        self.first_row = first_row
        self.rows: list[QuarantinedRow] = []
        self._positions: list[int] = []

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, row: QuarantinedRow) -> None:
        self.rows.append(row)
        insort(self._positions, row.row - 1 - self.first_row)

    def file_row(self, delivered: int) -> int:
        """Number in the file (from 1) of the unit's ``delivered``-th row (from 0) that the reader did give out."""
        for position in self._positions:
            if position > delivered:
                break
            delivered += 1
        return self.first_row + delivered + 1


def quarantined_rows(
    file: str, batch: pa.RecordBatch, positions: Sequence[int], numbers: Sequence[int], reasons: Sequence[str]
) -> list[QuarantinedRow]:
    """Rows of a record batch as quarantined rows.

    Args:
        positions: places in the batch, from 0.
        numbers: the same rows' numbers in the file, from 1.
        reasons: why, one for each.
    """
    values = batch.take(pa.array(positions, pa.int64())).to_pylist()
    return [
        QuarantinedRow(file, number, reason, json.dumps(row, ensure_ascii=False, default=_as_text))
        for number, reason, row in zip(numbers, reasons, values, strict=True)
    ]


def write_quarantine(path: Path, rows: Iterable[QuarantinedRow]) -> None:
    """Writes rows, sorted by their place in the file, as Parquet with columns file, row, reason, columns."""
    ordered = sorted(rows, key=lambda row: row.row)
    pq.write_table(pa.Table.from_pylist([asdict(row) for row in ordered], schema=QUARANTINE_SCHEMA), path)


def _as_text(value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
