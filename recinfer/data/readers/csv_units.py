"""Cuts a CSV file's rows into byte ranges for work units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt


def cut_ranges(
    row_ends: Iterable[npt.NDArray[np.int64]], first_byte: int, target_rows: int, target_bytes: int
) -> Iterator[tuple[int, int, int]]:
    """Joins rows until a target would be passed; a row longer than ``target_bytes`` stands alone.

    Args:
        row_ends: where rows end in the file, rising, in blocks of any size, so that a file of any size can be cut.
        first_byte: where the first row begins.

    Yields:
        (first byte, bytes, rows) of each range.
    """
    start = end = first_byte
    rows = 0
    for ends in row_ends:
        while len(ends):
            fits = int(np.searchsorted(ends, start + target_bytes, side="right"))
            take = max(min(target_rows - rows, fits), 0 if rows else 1)
            if take:
                end = int(ends[take - 1])
                ends = ends[take:]
                rows += take
            if len(ends) or rows == target_rows:
                yield start, end - start, rows
                start, rows = end, 0
    if rows:
        yield start, end - start, rows
