"""Finds the rows of a batch that do not parse, and parses the others."""

from __future__ import annotations

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
    """Parses what can be parsed. A batch without bad rows costs nothing extra; each bad row costs one more parse.

    Raises:
        BadRowError: the batch fails as a whole, but each of its rows alone does not.
    """
    kept = np.arange(batch.num_rows, dtype=np.int64)
    bad: list[BadRow] = []
    rest = batch
    while True:
        try:
            tensors = parser(rest)
            return ParsedBatch(tensors, kept if bad else None, sorted(bad, key=lambda row: row.row))
        except BadRowError as error:
            position = error.row if error.row is not None else _search(parser, rest, error)
            bad.append(BadRow(int(kept[position]), error.message))
            keep = np.ones(len(kept), bool)
            keep[position] = False
            kept = kept[keep]
            rest = rest.filter(pa.array(keep))


def _search(parser: Parser, batch: pa.RecordBatch, error: BadRowError) -> int:
    for row in range(batch.num_rows):
        try:
            parser(batch.slice(row, 1))
        except BadRowError:
            return row
    raise error
