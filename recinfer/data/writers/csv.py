"""CSV parts: a header, text in quotes, nulls as empty cells, lists as JSON arrays."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from recinfer.data.writers.base import Writer
from recinfer.data.writers.json_text import is_nested, json_text


class CsvWriter(Writer):
    """Text is quoted always, so that "00123" is seen to be text and an empty string differs from null."""

    suffix = ".csv"
    holds_bytes = False

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        super().__init__(path, schema)
        self._flat = pa.schema(
            [pa.field(field.name, pa.string() if is_nested(field.type) else field.type) for field in schema]
        )
        options = pa_csv.WriteOptions(include_header=True, quoting_style="needed")
        self._file = pa_csv.CSVWriter(str(path), self._flat, write_options=options)

    def _append(self, batch: pa.RecordBatch) -> None:
        columns = [json_text(column) if is_nested(column.type) else column for column in batch.columns]
        self._file.write_batch(pa.record_batch(columns, schema=self._flat))

    def _finish(self) -> None:
        self._file.close()
