"""Writers by the name that ``--writer_type`` uses."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from recinfer.data.files import output_errors
from recinfer.data.writers.base import FileStats, Writer
from recinfer.data.writers.csv import CsvWriter
from recinfer.data.writers.parquet import ParquetWriter
from recinfer.errors import UsageError

__all__ = ["WRITERS", "FileStats", "Writer", "open_writer", "writer_class"]

WRITERS: dict[str, type[Writer]] = {"ParquetWriter": ParquetWriter, "CsvWriter": CsvWriter}


def writer_class(kind: str) -> type[Writer]:
    """Raises UsageError where no writer has that name."""
    if kind not in WRITERS:
        raise UsageError(f"writer type {kind} is not supported", f"use one of {', '.join(WRITERS)}")
    return WRITERS[kind]


def open_writer(path: str | Path, schema: pa.Schema, kind: str = "ParquetWriter") -> Writer:
    """Opens a file for writing.

    Raises:
        UsageError: there is no such writer.
        OutputError: the file cannot be made.
    """
    with output_errors(Path(path)):
        return writer_class(kind)(Path(path), schema.remove_metadata())
