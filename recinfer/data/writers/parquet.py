"""Parquet parts: snappy, dictionaries for text alone, row groups of 262,144 rows."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from recinfer.data.writers.base import Writer

GROUP_ROWS = 262_144
GROUP_BYTES = 128 << 20


class ParquetWriter(Writer):
    """Gathers batches into row groups, so that the layout does not depend on the size of the batches.

    Dictionaries would make numbers, nearly all of them different, four times as slow to write, and larger.
    """

    suffix = ".parquet"

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        super().__init__(path, schema)
        text = [
            field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        ]
        self._file = pq.ParquetWriter(path, schema, compression="snappy", use_dictionary=text or False)
        self._held: list[pa.RecordBatch] = []
        self._held_rows = 0
        self._held_bytes = 0

    def _append(self, batch: pa.RecordBatch) -> None:
        while self._held_rows + batch.num_rows >= GROUP_ROWS:
            head = batch.slice(0, GROUP_ROWS - self._held_rows)
            batch = batch.slice(head.num_rows)
            self._hold(head)
            self._write_group()
        if batch.num_rows:
            self._hold(batch)
        if self._held_bytes >= GROUP_BYTES:
            self._write_group()

    def _hold(self, batch: pa.RecordBatch) -> None:
        self._held.append(batch)
        self._held_rows += batch.num_rows
        self._held_bytes += batch.nbytes

    def _write_group(self) -> None:
        # One array a column: page boundaries then do not depend on the batches either.
        table = pa.Table.from_batches(self._held, self.schema).combine_chunks()
        self._held, self._held_rows, self._held_bytes = [], 0, 0
        self._file.write_table(table, row_group_size=GROUP_ROWS)

    def _finish(self) -> None:
        try:
            if self._held:
                self._write_group()
        finally:
            self._file.close()
