"""The contract of writers: batches in, one closed and flushed file out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from recinfer.data.files import output_errors, sha256_of, sync_file
from recinfer.errors import OutputError


@dataclass(frozen=True)
class FileStats:
    """A file that was written: its rows, its size in bytes, the SHA-256 of its content."""

    rows: int
    bytes: int
    sha256: str


class Writer(ABC):
    """Writes one file; rows keep their order, columns are exactly those of ``schema``.

    Attributes:
        suffix: of the file's name.
        holds_bytes: whether a column may hold bytes that are no text.
    """

    suffix: str
    holds_bytes = True

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.schema = schema
        self.rows = 0
        self._closed = False

    @classmethod
    def check(cls, schema: pa.Schema) -> None:
        """Raises OutputError where files of this kind cannot hold a column."""
        for field in schema:
            if not cls.holds_bytes and _has_bytes(field.type):
                raise OutputError(
                    f"column {field.name!r} holds {field.type}, which no {cls.suffix} file can",
                    "leave it out, or write Parquet",
                )

    @abstractmethod
    def _append(self, batch: pa.RecordBatch) -> None:
        """Adds a batch that fits the schema."""

    @abstractmethod
    def _finish(self) -> None:
        """Writes what is left and closes the file."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds rows.

        Raises:
            OutputError: the batch does not fit the schema, or the disk does not take it.
        """
        if not batch.schema.equals(self.schema):
            raise OutputError(
                f"{self.path}: a batch has {_columns(batch.schema)}, the plan says {_columns(self.schema)}"
            )
        with output_errors(self.path):
            self._append(batch)
        self.rows += batch.num_rows

    def close(self) -> FileStats:
        """Closes the file and waits until it is on disk.

        Raises:
            OutputError: the disk does not take it.
        """
        with output_errors(self.path):
            self._closed = True
            self._finish()
            sync_file(self.path)
            return FileStats(self.rows, self.path.stat().st_size, sha256_of(self.path))

    def discard(self) -> None:
        """Closes the file without caring for its content, and removes it."""
        try:
            if not self._closed:
                self._closed = True
                self._finish()
        except (OSError, pa.ArrowException):
            # The file goes away in the next line; what it could not take no longer matters.
            self.rows = 0
        self.path.unlink(missing_ok=True)


def _has_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return True
    return any(_has_bytes(kind.field(position).type) for position in range(kind.num_fields))


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)
