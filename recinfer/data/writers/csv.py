"""CSV parts: a header, text in quotes, nulls as empty cells, lists as JSON arrays."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from recinfer.data.writers.base import Writer
from recinfer.data.writers.json_text import is_nested, json_text
from recinfer.errors import OutputError


class CsvWriter(Writer):
    """Text is quoted always, so that "00123" is seen to be text and an empty string differs from null."""

    suffix = ".csv"

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        super().__init__(path, schema)
        self._flat = pa.schema(
            [pa.field(field.name, pa.string() if is_nested(field.type) else field.type) for field in schema]
        )
        options = pa_csv.WriteOptions(include_header=True, quoting_style="needed")
        self._file = pa_csv.CSVWriter(str(path), self._flat, write_options=options)

    @classmethod
    def check(cls, schema: pa.Schema) -> None:
        """Bytes are no text."""
        for field in schema:
            if _holds_bytes(field.type):
                raise OutputError(
                    f"column {field.name!r} holds {field.type}, which CSV cannot", "leave it out, or write Parquet"
                )

    def _append(self, batch: pa.RecordBatch) -> None:
        columns = [json_text(column) if is_nested(column.type) else column for column in batch.columns]
        self._file.write_batch(pa.record_batch(columns, schema=self._flat))

    def _finish(self) -> None:
        self._file.close()


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return True
    return any(_holds_bytes(kind.field(position).type) for position in range(kind.num_fields))
