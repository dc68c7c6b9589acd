"""Cuts a stream of record batches anew, to an exact number of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa


def recut(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """Yields batches of exactly ``rows`` rows, the last one maybe shorter; copies only rows that straddle a seam."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        offset = 0
        while batch.num_rows - offset >= rows - count:
            held.append(batch.slice(offset, rows - count))
            offset += rows - count
            yield _join(held)
            held, count = [], 0
        if offset < batch.num_rows:
            held.append(batch.slice(offset))
            count += batch.num_rows - offset
    if held:
        yield _join(held)


def _join(pieces: list[pa.RecordBatch]) -> pa.RecordBatch:
    return pieces[0] if len(pieces) == 1 else pa.concat_batches(pieces)
