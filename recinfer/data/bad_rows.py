"""Finds the rows of a batch that do not parse, and parses the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from recinfer.data.parser import Parser, Tensors
from recinfer.errors import BadRowError


@dataclass
class BadRow:
    """A row that does not parse: its position in the batch, and why."""

    row: int
    reason: str


@dataclass
class ParsedBatch:
    """Tensors of the good rows.

    Attributes:
        tensors: what the parser made of the good rows.
        kept: positions of the good rows in the batch, [good rows]; None where all are good.
        bad: the others.
    """

    tensors: Tensors
    kept: npt.NDArray[np.int64] | None
    bad: list[BadRow]


def parse_good_rows(parser: Parser, batch: pa.RecordBatch) -> ParsedBatch:
    """Parses what can be parsed. A batch without bad rows costs nothing extra; others cost a search in each column.

    Raises:
        BadRowError: the batch fails as a whole, but each of its rows alone does not.
    """
    try:
        return ParsedBatch(parser(batch), None, [])
    except BadRowError:
        reasons: dict[int, str] = {}
        for feature in parser.features:
            for row, reason in _bad_rows(Parser([feature], for_model=parser.for_model), batch):
                reasons.setdefault(row, reason)
        if not reasons:
            raise
    keep = np.ones(batch.num_rows, bool)
    keep[list(reasons)] = False
    bad = [BadRow(row, reasons[row]) for row in sorted(reasons)]
    return ParsedBatch(parser(batch.filter(pa.array(keep))), np.flatnonzero(keep), bad)


def _bad_rows(parser: Parser, batch: pa.RecordBatch) -> Iterator[tuple[int, str]]:
    """Rows and reasons, by halving what fails: a few bad rows are found fast, and many in linear time."""
    pending = [(0, batch.num_rows)]
    while pending:
        first, last = pending.pop()
        try:
            parser(batch.slice(first, last - first))
        except BadRowError as error:
            if last - first == 1:
                yield first, error.message
            else:
                middle = (first + last) // 2
                pending += [(first, middle), (middle, last)]
