"""Where the rows of a CSV text begin and end: blocks of whole rows, found with NumPy, quoted newlines included.

The rules are those of Arrow's CSV parser, which reads the rows later: a quote opens only at the start of a field,
``""`` inside quotes is a quote, rows end at LF, CRLF or a lone CR, and blank lines are no rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from recinfer.errors import BadRowError, InputError

LF, CR, QUOTE = 10, 13, 34
MAX_ROW_BYTES = 64 << 20

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RowBlock:
    """A run of whole rows.

    Attributes:
        data: the text.
        starts: where each row begins in ``data``, int64 [rows].
        nexts: where the text after each row's line end begins, int64 [rows].
        used: bytes that the rows and the blank lines between them take; what lies behind them is not whole.
    """

    data: bytes
    starts: Positions
    nexts: Positions
    used: int

    @property
    def rows(self) -> int:
        return len(self.starts)

    def text(self, first: int, last: int) -> memoryview:
        """The text of rows ``first`` to ``last`` (exclusive), line ends included."""
        return memoryview(self.data)[int(self.starts[first]) : int(self.nexts[last - 1])]

    def head(self, rows: int) -> RowBlock:
        """The first ``rows`` rows."""
        return self if rows >= self.rows else replace(self, starts=self.starts[:rows], nexts=self.nexts[:rows])

    def tail(self, rows: int) -> RowBlock:
        """All but the first ``rows`` rows."""
        return replace(self, starts=self.starts[rows:], nexts=self.nexts[rows:])


def row_blocks(chunks: Iterable[bytes], delimiter: str, source: str) -> Iterator[RowBlock]:
    """Cuts a text that comes in chunks into blocks of whole rows; all of the text lies in one of the blocks.

    Raises:
        BadRowError: a quote is opened and never closed.
        InputError: a row is longer than 64 MiB, which an unclosed quote makes as well.
    """
    carry = b""
    rows = 0
    for chunk in chunks:
        data = carry + chunk if carry else chunk
        block = split_rows(data, delimiter, final=False)
        if not block.used and len(data) > MAX_ROW_BYTES:
            raise InputError(
                f"{source}: row {rows + 1} is longer than {MAX_ROW_BYTES >> 20} MiB",
                "is a quote opened there and never closed? Check the quotes of that row, and the delimiter",
            )
        carry = data[block.used :]
        if block.used:
            rows += block.rows
            yield block
    if carry:
        block = split_rows(carry, delimiter, final=True)
        if block.used < len(carry):
            raise BadRowError(f"{source}: row {rows + block.rows + 1}: a quote is opened and never closed", "close it")
        yield block


def split_rows(data: bytes, delimiter: str, final: bool) -> RowBlock:
    """Finds the whole rows of a text that begins at the start of a row.

    Args:
        final: no text follows, so that the last row needs no line end.
    """
    view = np.frombuffer(data, np.uint8)
    breaks = _row_ends(data, view, delimiter, final)
    used = min(int(breaks[-1]) + 1, len(data)) if len(breaks) else 0
    nexts = np.minimum(breaks + 1, len(data))
    starts = np.concatenate([np.zeros(1, np.int64), nexts[:-1]]) if len(nexts) else nexts
    ends = breaks.copy()
    crlf = (ends > starts) & (ends < len(data))
    crlf[crlf] = (view[ends[crlf] - 1] == CR) & (view[ends[crlf]] == LF)
    ends -= crlf
    held = ends > starts
    return RowBlock(data, starts[held], nexts[held], used)


def _row_ends(data: bytes, view: npt.NDArray[np.uint8], delimiter: str, final: bool) -> Positions:
    """Positions of the last byte of each row's line end; ``len(data)`` for a last row without one."""
    breaks = np.flatnonzero(view == LF)
    if b"\r" in data:
        after = np.append(view[1:], LF if not final else 0)
        breaks = np.sort(np.concatenate([breaks, np.flatnonzero((view == CR) & (after != LF))]))
    open_at_end = False
    if b'"' in data:
        quotes = np.flatnonzero(view == QUOTE)
        if not _quotes_pair_up(view, quotes, delimiter):
            return _row_ends_by_pattern(data, delimiter, final)
        breaks = breaks[np.searchsorted(quotes, breaks) % 2 == 0]
        open_at_end = len(quotes) % 2 == 1
    if final and not open_at_end and len(data) > (int(breaks[-1]) + 1 if len(breaks) else 0):
        breaks = np.append(breaks, len(data))
    return breaks


def _quotes_pair_up(view: npt.NDArray[np.uint8], quotes: Positions, delimiter: str) -> bool:
    """Whether counting quotes tells inside from outside: each one that would open stands at the start of a field,
    or right behind one that closed (``""``)."""
    opening = quotes[::2]
    before = view[opening[opening > 0] - 1]
    return bool(np.isin(before, np.array([ord(delimiter), LF, CR, QUOTE], np.uint8)).all())


def _row_ends_by_pattern(data: bytes, delimiter: str, final: bool) -> Positions:
    """The exact rule, row by row, for texts with quotes in the middle of fields."""
    found: list[int] = []
    position = 0
    pattern = _row_pattern(delimiter)
    while position < len(data):
        match = pattern.match(data, position)
        if match is None:
            break
        end = match.end()
        without_end = not match["end"]
        if not final and (without_end or (end == len(data) and match["end"] == b"\r")):
            break
        found.append(end if without_end else end - 1)
        position = end
    return np.array(found, np.int64)


@lru_cache
def _row_pattern(delimiter: str) -> re.Pattern[bytes]:
    comma = re.escape(delimiter).encode()
    plain = rb"[^" + comma + rb"\r\n]*+"
    quoted = rb'"[^"]*+(?:""[^"]*+)*+"' + plain
    field = rb"(?:" + quoted + rb'|(?!")' + plain + rb")"
    return re.compile(field + rb"(?:" + comma + field + rb")*+(?P<end>\r\n|\n|\r|\Z)")
