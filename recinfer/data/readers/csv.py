"""CSV and TSV tables, plain or compressed: units are byte ranges that begin and end at rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from recinfer.data.inputs import InputFile, PlannedTable
from recinfer.data.quarantine import QuarantinedRow
from recinfer.data.readers.base import OnBadRow, Reader
from recinfer.data.readers.csv_block import BlockParser, Report
from recinfer.data.readers.csv_file import CODECS, codec_of, mark_length, read_chunks
from recinfer.data.readers.csv_header import check_same_names, header_names
from recinfer.data.readers.csv_options import CsvOptions
from recinfer.data.readers.csv_rows import RowBlock, row_blocks
from recinfer.data.readers.csv_types import infer_type
from recinfer.data.readers.csv_units import cut_ranges
from recinfer.data.storage.remote_path import without_query
from recinfer.data.units import TARGET_BYTES, TARGET_ROWS, Unit, number_units
from recinfer.errors import BadRowError, ConfigError, InputError

HEADER_CHUNK = 64 << 10


@dataclass(frozen=True)
class Layout:
    """What the top of a file says.

    Attributes:
        delimiter: one character.
        names: its columns, in order.
        header_rows: 1 where the first row names the columns and has to be skipped (compressed files), else 0.
        first_byte: where the data begins (plain files).
    """

    delimiter: str
    names: list[str]
    header_rows: int
    first_byte: int


class CsvReader(Reader):
    """Reads CSV files whose columns have the same names (with a header, in any order).

    Types come from ``options.columns``; those that are missing there are inferred from the first block of the first
    file with rows, and then hold for every file.

    Raises:
        ConfigError: there are neither a header nor column names.
        InputError: a header lacks a column, or names one twice.
    """

    def __init__(
        self, spec: str, options: CsvOptions | None = None, threads: int = 1, planned: PlannedTable | None = None
    ) -> None:
        super().__init__(spec, threads, planned)
        self.options = options or CsvOptions()
        if not self.options.with_header and not self.options.columns:
            raise ConfigError(
                f"nothing names the columns of {self.files[0].path}",
                'set data_config.with_header: true, or data_config.input_fields (or input_fields_str: "name:TYPE;...")',
            )
        layouts = {file.path: self._layout(file) for file in self.files}
        self._layouts = {path: layout for path, layout in layouts.items() if layout is not None}
        self.schema = self._find_schema() if planned is None else planned.schema

    def units(self, target_rows: int = TARGET_ROWS, target_bytes: int = TARGET_BYTES) -> list[Unit]:
        return number_units(unit for file in self.files for unit in self._units_of(file, target_rows, target_bytes))

    def _units_of(self, file: InputFile, target_rows: int, target_bytes: int) -> Iterator[Unit]:
        if file.path not in self._layouts:
            return
        if codec_of(file.path):
            rows = sum(block.rows for block in self._blocks(file.path))
            if rows:
                yield Unit(0, file.path, 0, rows, bytes=file.size)
            return
        layout = self._layouts[file.path]
        first_row = 0
        for first_byte, size, rows in cut_ranges(
            self._row_ends(file.path), layout.first_byte, target_rows, target_bytes
        ):
            yield Unit(0, file.path, first_row, rows, first_byte=first_byte, bytes=size)
            first_row += rows

    def _row_ends(self, path: str) -> Iterator[npt.NDArray[np.int64]]:
        """Where the rows of a plain file end, block by block."""
        offset = self._layouts[path].first_byte
        for block in self._blocks(path):
            yield block.nexts + offset
            offset += block.used

    def _blocks(self, path: str, first_byte: int | None = None, size: int | None = None) -> Iterator[RowBlock]:
        """Blocks of the data rows of a byte range, or of the whole file."""
        layout = self._layouts[path]
        chunks = read_chunks(path, layout.first_byte if first_byte is None else first_byte, size)
        skip = layout.header_rows
        for block in row_blocks(chunks, layout.delimiter, path):
            yield block.tail(skip) if skip else block
            skip -= min(skip, block.rows)

    def _batches(
        self, unit: Unit, columns: list[str], batch_rows: int, on_bad_row: OnBadRow | None
    ) -> Iterator[pa.RecordBatch]:
        layout = self._layouts[unit.path]
        wanted = pa.schema([self.schema.field(name) for name in columns])
        parser = BlockParser(unit.path, layout.delimiter, layout.names, wanted, self.threads)
        row = unit.first_row
        last = unit.first_row + unit.rows
        plain = codec_of(unit.path) is None
        for whole in self._blocks(unit.path, *((unit.first_byte, unit.bytes) if plain else ())):
            block = whole.head(last - row) if unit.partial else whole
            yield from parser.parse(block, _reporter(unit.path, row, on_bad_row))
            row += block.rows
            if unit.partial and row == last:
                break

    def _layout(self, file: InputFile) -> Layout | None:
        """Reads the header; None for a file that is empty although it should have one."""
        delimiter = self.options.delimiter or ("\t" if is_tsv(file.path) else ",")
        plain = codec_of(file.path) is None
        mark = mark_length(file.path) if plain else 0
        if not self.options.with_header:
            return Layout(delimiter, [name for name, _ in self.options.columns or []], 0, mark)
        for block in row_blocks(read_chunks(file.path, mark, None, HEADER_CHUNK), delimiter, file.path):
            if block.rows:
                names = header_names(bytes(block.text(0, 1)), delimiter, file.path)
                return Layout(delimiter, names, 0 if plain else 1, mark + int(block.nexts[0]))
        return None

    def _find_schema(self) -> pa.Schema:
        given = dict(self.options.columns or [])
        if not self._layouts:
            if not given:
                raise InputError(
                    f"{self.files[0].path} is empty: it has not even a header", "name files that hold rows"
                )
            return pa.schema([pa.field(name, kind or pa.string()) for name, kind in given.items()])
        first, layout = next(iter(self._layouts.items()))
        for path, other in self._layouts.items():
            check_same_names(first, layout.names, path, other.names)
        for name in given:
            if name not in layout.names:
                raise InputError(
                    f"{first} has no column {name!r}, which data_config.input_fields names",
                    f"its header says {', '.join(layout.names)}",
                )
        missing = [name for name in layout.names if given.get(name) is None]
        inferred = self._infer(missing) if missing else {}
        return pa.schema([pa.field(name, given.get(name) or inferred[name]) for name in layout.names])

    def _infer(self, names: list[str]) -> dict[str, pa.DataType]:
        """Types of the named columns, from the first block that has rows; rows that do not parse have no say."""
        texts = pa.schema([pa.field(name, pa.string()) for name in names])
        for path, layout in self._layouts.items():
            for block in self._blocks(path):
                if block.rows:
                    batches = BlockParser(path, layout.delimiter, layout.names, texts).parse(block, lambda *_: None)
                    table = pa.Table.from_batches(batches, texts)
                    return {name: infer_type(table.column(name)) for name in names}
        return {name: pa.string() for name in names}


def is_tsv(path: str) -> bool:
    """Whether a path ends in ``.tsv``, compressed or not."""
    name = without_query(path).lower()
    codec_suffix = next((suffix for suffix in CODECS if name.endswith(suffix)), "")
    return name.removesuffix(codec_suffix).endswith(".tsv")


def _reporter(path: str, first_row: int, on_bad_row: OnBadRow | None) -> Report:
    def report(position: int, reason: str, cells: str) -> None:
        row = first_row + position + 1
        if on_bad_row is None:
            raise BadRowError(
                f"{path} row {row}: {reason}",
                "mend the row, set the column's type with input_fields, or use --on-error quarantine",
                row,
            )
        on_bad_row(QuarantinedRow(path, row, reason, cells))

    return report
