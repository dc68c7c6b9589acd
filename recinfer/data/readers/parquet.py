"""Parquet tables: units are whole row groups."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from recinfer.data.inputs import InputFile, PlannedTable
from recinfer.data.readers.base import OnBadRow, Reader
from recinfer.data.readers.plain_types import plain_batch, plain_schema
from recinfer.data.storage.input_filesystem import filesystem_of, store_hint
from recinfer.data.units import TARGET_BYTES, TARGET_ROWS, Unit, group_row_groups, number_units
from recinfer.errors import InputError

# Above this a unit is one giant row group, whose column chunks are streamed instead of read whole.
STREAM_ABOVE = 256 << 20
STREAM_BUFFER = 4 << 20


@dataclass(frozen=True)
class Footer:
    """A file's schema (dictionary columns as plain values), and (rows, bytes) of each of its row groups."""

    schema: pa.Schema
    groups: list[tuple[int, int]]

    @property
    def rows(self) -> int:
        return sum(rows for rows, _ in self.groups)


class ParquetReader(Reader):
    """Reads Parquet files that share one schema; the order of columns may differ between files."""

    def __init__(self, spec: str, threads: int = 1, planned: PlannedTable | None = None) -> None:
        super().__init__(spec, threads, planned)
        # A thousand processes that share a plan need not read the footers of all files a thousand times.
        self._footers: dict[str, Footer] = {}
        self.schema = self._read_footers() if planned is None else planned.schema

    def _read_footers(self) -> pa.Schema:
        """Reads all footers; returns the schema that the files share."""
        with ThreadPoolExecutor(max_workers=8) as pool:
            footers = list(pool.map(read_footer, self.files))
        self._footers = {file.path: footer for file, footer in zip(self.files, footers, strict=True)}
        # Empty files often carry null types, so the first file with rows says what the schema is.
        first = next((file for file in self.files if self._footers[file.path].rows), self.files[0])
        schema = self._footers[first.path].schema
        for file in self.files:
            if self._footers[file.path].rows:
                check_same_schema(first.path, schema, file.path, self._footers[file.path].schema)
        return schema

    def units(self, target_rows: int = TARGET_ROWS, target_bytes: int = TARGET_BYTES) -> list[Unit]:
        return number_units(unit for file in self.files for unit in self._units_of(file, target_rows, target_bytes))

    def _units_of(self, file: InputFile, target_rows: int, target_bytes: int) -> Iterator[Unit]:
        groups = self._footers[file.path].groups
        first_row = 0
        for first, count in group_row_groups(groups, target_rows, target_bytes):
            rows = sum(rows for rows, _ in groups[first : first + count])
            size = sum(size for _, size in groups[first : first + count])
            yield Unit(0, file.path, first_row, rows, first, count, 0, size)
            first_row += rows

    def _batches(
        self, unit: Unit, columns: list[str], batch_rows: int, on_bad_row: OnBadRow | None
    ) -> Iterator[pa.RecordBatch]:
        wanted = pa.schema([self.schema.field(name) for name in columns])
        groups = list(range(unit.first_group, unit.first_group + unit.groups))
        left = unit.rows
        with reading(unit.path), open_parquet(unit.path, unit.bytes) as file:
            held = (
                sum(file.metadata.row_group(group).num_rows for group in groups)
                if groups[-1] < file.num_row_groups
                else -1
            )
            if held != unit.rows and not (unit.partial and held > unit.rows):
                raise InputError(f"{unit.path}: its row groups changed since the plan", "start again with --overwrite")
            for batch in file.iter_batches(batch_rows, groups, columns, use_threads=self.threads > 1):
                piece = batch.slice(0, left) if batch.num_rows > left else batch
                left -= piece.num_rows
                yield plain_batch(piece.select(columns), wanted)
                if not left:
                    break


def open_parquet(path: str, size: int = 0) -> pq.ParquetFile:
    """Opens a handle of its own. Remote files are read ahead; ``size`` bytes or more to come are streamed."""
    filesystem, inner = filesystem_of(path)
    local = isinstance(filesystem, pafs.LocalFileSystem)
    return pq.ParquetFile(
        inner, filesystem=filesystem, pre_buffer=not local, buffer_size=STREAM_BUFFER if size > STREAM_ABOVE else 0
    )


def read_footer(file: InputFile) -> Footer:
    """Reads one footer.

    Raises:
        InputError: the file is not Parquet, is truncated, or names a column twice.
    """
    with reading(file.path), open_parquet(file.path) as handle:
        schema = plain_schema(handle.schema_arrow)
        metadata = handle.metadata
        groups = [
            (group.num_rows, group.total_byte_size) for group in map(metadata.row_group, range(metadata.num_row_groups))
        ]
    twice = {name for name in schema.names if schema.names.count(name) > 1}
    if twice:
        raise InputError(f"{file.path}: column {sorted(twice)[0]!r} comes twice", "rename one of them")
    return Footer(schema, groups)


def check_same_schema(first_path: str, first: pa.Schema, path: str, schema: pa.Schema) -> None:
    """Raises InputError where two files differ in a column's name or type."""
    for name in first.names:
        if name not in schema.names:
            raise InputError(
                f"{path} has no column {name!r}, which {first_path} has", "all input files must share one schema"
            )
        if schema.field(name).type != first.field(name).type:
            raise InputError(
                f"column {name!r} is {schema.field(name).type} in {path}, but {first.field(name).type} in {first_path}",
                "all input files must share one schema: write them anew with one type",
            )
    extra = [name for name in schema.names if name not in first.names]
    if extra:
        raise InputError(
            f"{path} has a column {extra[0]!r}, which {first_path} has not", "all input files must share one schema"
        )


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Turns what Arrow and the file system raise into an InputError that names the file."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"cannot read {path} as Parquet: {str(error).splitlines()[0]}",
            store_hint(error)
            or "it is truncated, damaged or of another kind: write it again, or leave it out (with a glob, say)",
        ) from error
