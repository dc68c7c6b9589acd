"""Parses a block of CSV rows with Arrow, and finds the rows that do not parse."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.csv as pa_csv

from recinfer.data.readers.csv_rows import RowBlock
from recinfer.errors import InputError

CONVERSION = re.compile(r"In CSV column #(\d+): (?:Row #\d+: )?CSV conversion error to ([^:]+): (.*)", re.DOTALL)
COLUMNS = re.compile(r"Expected (\d+) columns, got (\d+)")

# Called with a row's place in its block, the reason, and its cells as JSON.
Report = Callable[[int, str, str], None]


@dataclass
class BlockParser:
    """Parses blocks of one file.

    Attributes:
        source: the file, for messages.
        delimiter: one character.
        names: columns of the file, in its order.
        wanted: columns to read, with their types.
        threads: more than 1 lets Arrow's pool convert columns side by side.
    """

    source: str
    delimiter: str
    names: list[str]
    wanted: pa.Schema
    threads: int = 1
    _quoted_blanks: bool = False

    def parse(self, block: RowBlock, report: Report) -> list[pa.RecordBatch]:
        """The block's rows, less those that do not parse: these are reported, in order."""
        return self._parse(block, 0, block.rows, report) if block.rows else []

    def _parse(self, block: RowBlock, first: int, last: int, report: Report) -> list[pa.RecordBatch]:
        text = block.text(first, last)
        try:
            table = self._read(text)
        except pa.ArrowInvalid as error:
            if last - first == 1:
                report(first, self._reason(error), self._cells(text))
                return []
            middle = (first + last) // 2
            return self._parse(block, first, middle, report) + self._parse(block, middle, last, report)
        if table.num_rows != last - first:
            raise InputError(
                f"{self.source}: {last - first} rows parse as {table.num_rows}", "check its quotes and line ends"
            )
        return table.to_batches()

    def _read(self, text: memoryview) -> pa.Table:
        """Empty cells are null. A quoted empty cell is an empty string, and null in a column of numbers: Arrow has one
        switch for both, so texts that need it are read in two halves."""
        strings = [field.name for field in self.wanted if pa.types.is_string(field.type)]
        numbers = [field.name for field in self.wanted if not pa.types.is_string(field.type)]
        if not self._quoted_blanks:
            try:
                return self._read_columns(text, self.wanted.names, False)
            except pa.ArrowInvalid as error:
                if not str(error).rstrip().endswith("invalid value ''"):
                    raise
                self._quoted_blanks = True
        parts: dict[str, pa.ChunkedArray] = {}
        for names, blanks in ((strings, False), (numbers, True)):
            if names:
                parts.update(zip(names, self._read_columns(text, names, blanks).columns, strict=True))
        return pa.table([parts[name] for name in self.wanted.names], schema=self.wanted)

    def _read_columns(self, text: memoryview, names: list[str], quoted_blanks: bool) -> pa.Table:
        return pa_csv.read_csv(
            pa.BufferReader(pa.py_buffer(text)),
            read_options=pa_csv.ReadOptions(
                column_names=self.names, use_threads=self.threads > 1, block_size=len(text) + 1
            ),
            parse_options=pa_csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                column_types=self.wanted,
                include_columns=names,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=quoted_blanks,
            ),
        )

    def _reason(self, error: pa.ArrowInvalid) -> str:
        message = str(error)
        if found := CONVERSION.search(message):
            what = found[3].removeprefix("invalid value ")
            return f"column {self.names[int(found[1])]!r}: {what} is not {_type_name(found[2])}"
        if found := COLUMNS.search(message):
            return f"{found[2]} columns, expected {found[1]}"
        return message.splitlines()[0]

    def _cells(self, text: memoryview) -> str:
        plain = bytes(text).decode("utf-8", "replace").rstrip("\r\n")
        cells = next(csv.reader(io.StringIO(plain, newline=""), delimiter=self.delimiter), [])
        value = dict(zip(self.names, cells, strict=True)) if len(cells) == len(self.names) else cells
        return json.dumps(value, ensure_ascii=False)


def _type_name(arrow: str) -> str:
    return {"string": "UTF-8 text", "double": "a number", "float": "a number"}.get(arrow, f"a whole number ({arrow})")
