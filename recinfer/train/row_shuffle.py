"""Cuts a stream of record batches to one size, in input order or shuffled within a bounded buffer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa


def emit_in_order(parts: Iterable[pa.RecordBatch], batch_size: int) -> Iterator[pa.RecordBatch]:
    """Batches of ``batch_size`` rows across the borders of ``parts``; the last one may be shorter."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for part in parts:
        held.append(part)
        rows += part.num_rows
        if rows < batch_size:
            continue
        joined = pa.concat_batches(held)
        whole = rows - rows % batch_size
        yield from (joined.slice(start, batch_size) for start in range(0, whole, batch_size))
        held, rows = [joined.slice(whole)], rows - whole
    if rows:
        yield pa.concat_batches(held)


def emit_shuffled(
    parts: Iterable[pa.RecordBatch], batch_size: int, buffer_rows: int, generator: np.random.Generator
) -> Iterator[pa.RecordBatch]:
    """Batches of rows drawn from a buffer of ``buffer_rows`` rows (or two batches, if that is more).

    When the buffer is full it is shuffled and its first half goes out, so a row can wait through several fillings
    and rows that lie further apart than the buffer is long still meet.
    """
    limit = max(buffer_rows, 2 * batch_size)
    held: list[pa.RecordBatch] = []
    rows = 0
    for part in parts:
        held.append(part)
        rows += part.num_rows
        if rows < limit:
            continue
        mixed = _shuffle(held, generator)
        out = max(rows // 2 // batch_size, 1) * batch_size
        yield from (mixed.slice(start, batch_size) for start in range(0, out, batch_size))
        held, rows = [mixed.slice(out)], rows - out
    if rows:
        mixed = _shuffle(held, generator)
        yield from (mixed.slice(start, batch_size) for start in range(0, rows, batch_size))


def _shuffle(held: list[pa.RecordBatch], generator: np.random.Generator) -> pa.RecordBatch:
    joined = pa.concat_batches(held)
    return joined.take(pa.array(generator.permutation(joined.num_rows)))
