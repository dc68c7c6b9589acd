"""One rank's part of an epoch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from recinfer.data.units import Unit


@dataclass(frozen=True)
class Share:
    """The rows and batches of one rank among several, a range of the epoch's order.

    All ranks take the same number of steps, since each step is a collective. In training their batches are equally
    large too, as torchrec needs it for tables split by rows; of an epoch whose rows cannot be divided by the ranks,
    the last ones (fewer than there are ranks) are left out. In evaluation every row is read, and a rank whose rows end
    early goes on with batches of none.

    Args:
        rank, ranks: whose share.
        total: rows of all ranks.
        batch_size: rows of a full batch.
        drop_remainder: leave out the last batch if it is short.
        evaluation: every row is needed, and batches without rows are no harm.
    """

    rank: int
    ranks: int
    total: int
    batch_size: int
    drop_remainder: bool = False
    evaluation: bool = False

    @property
    def rows(self) -> range:
        """Positions of this rank's rows among all."""
        if self.evaluation:
            return range(self.total * self.rank // self.ranks, self.total * (self.rank + 1) // self.ranks)
        size = self.total // self.ranks
        return range(size * self.rank, size * (self.rank + 1))

    @property
    def steps(self) -> int:
        """Batches of an epoch, on each rank."""
        if self.drop_remainder:
            return len(self.rows) // self.batch_size
        most = -(-self.total // self.ranks) if self.evaluation else len(self.rows)
        return -(-most // self.batch_size)

    def batch_rows(self, position: int) -> int:
        """Rows of this rank's batch at a step of the epoch.

        Batch normalisation cannot learn from a single row, so a last batch of one takes another from the one before.
        """
        left = max(min(len(self.rows) - position * self.batch_size, self.batch_size), 0)
        last = len(self.rows) - (self.steps - 1) * self.batch_size
        moves = last == 1 and self.steps > 1 and self.batch_size > 3 and not (self.evaluation or self.drop_remainder)
        if moves and position >= self.steps - 2:
            return 2 if position == self.steps - 1 else self.batch_size - 1
        return left

    def of(self, units: Sequence[Unit], order: Iterable[int]) -> Iterator[tuple[Unit, int, int]]:
        """(unit, first row, end) of what this rank reads, rows counted inside the unit."""
        start, rows = 0, self.rows
        for index in order:
            unit = units[index]
            first, last = max(rows.start - start, 0), min(rows.stop - start, unit.rows)
            if first < last:
                yield unit, first, last
            start += unit.rows

    def cut(self, batches: Iterable[pa.RecordBatch], empty: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """The batches of an epoch from full ones, of which the last may be short.

        Args:
            batches: of this rank's rows.
            empty: a batch without rows.
        """
        held: list[pa.RecordBatch] = []
        position = 0
        for batch in batches:
            held.append(batch)
            if len(held) > 2:
                yield held.pop(0)
                position += 1
        joined = pa.concat_batches(held) if held else empty
        while position < self.steps:
            size = self.batch_rows(position)
            yield joined.slice(0, size)
            joined = joined.slice(size)
            position += 1
