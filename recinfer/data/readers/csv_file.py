"""The bytes of a CSV file, plain or compressed, in chunks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from recinfer.data.storage.input_filesystem import filesystem_of, store_hint
from recinfer.data.storage.remote_path import without_query
from recinfer.errors import InputError

CODECS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
CHUNK_BYTES = 4 << 20
BOM = b"\xef\xbb\xbf"


def codec_of(path: str) -> str | None:
    """The compression that a file's suffix names, or None."""
    name = without_query(path).lower()
    return next((codec for suffix, codec in CODECS.items() if name.endswith(suffix)), None)


def read_chunks(
    path: str, first_byte: int = 0, size: int | None = None, chunk_bytes: int | None = None
) -> Iterator[bytes]:
    """Reads a byte range of a plain file, or all of a compressed one, without a byte order mark at its start.

    Raises:
        InputError: the file cannot be opened, or its compressed stream is damaged or truncated.
    """
    filesystem, inner = filesystem_of(path)
    codec = codec_of(path)
    chunk_bytes = chunk_bytes or CHUNK_BYTES
    with reading(path):
        if codec:
            with filesystem.open_input_stream(inner, compression=codec) as stream:
                yield from _without_mark(_all_of(stream, None, chunk_bytes))
            return
        with filesystem.open_input_file(inner) as file:
            file.seek(first_byte)
            chunks = _all_of(file, size, chunk_bytes)
            yield from chunks if first_byte else _without_mark(chunks)


def mark_length(path: str) -> int:
    """3 where a plain file begins with a byte order mark, else 0."""
    filesystem, inner = filesystem_of(path)
    with reading(path), filesystem.open_input_file(inner) as file:
        return len(BOM) if file.read(len(BOM)) == BOM else 0


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Turns what Arrow and the file system raise into an InputError that names the file."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"cannot read {path}: {str(error).splitlines()[0]}",
            store_hint(error) or "the file is truncated, damaged or of another kind",
        ) from error


def _all_of(file: pa.NativeFile, size: int | None, chunk_bytes: int) -> Iterator[bytes]:
    left = size
    while left is None or left > 0:
        chunk = file.read(chunk_bytes if left is None else min(chunk_bytes, left))
        if not chunk:
            return
        if left is not None:
            left -= len(chunk)
        yield chunk


def _without_mark(chunks: Iterator[bytes]) -> Iterator[bytes]:
    for position, chunk in enumerate(chunks):
        yield chunk.removeprefix(BOM) if position == 0 else chunk
