"""One rank's part of an epoch: equally many rows and batches for all, each row learnt once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from recinfer.data.units import Unit


@dataclass(frozen=True)
class Share:
    """The rows and batches of one rank among several.

    The rows of an epoch, in its order, are cut into as many ranges as there are ranks, whose sizes differ by one at
    most. All ranks take the same number of steps, since each step is a collective; where rows do not suffice for that,
    the last batch takes some from the one before.

    Args:
        rank, ranks: whose share.
        total: rows of all ranks.
        batch_size: rows of a full batch.
        drop_remainder: leave out the last batch if it is short.
        may_be_empty: batches without rows are no harm, as in evaluation; then none is filled up, and no row left out.
    """

    rank: int
    ranks: int
    total: int
    batch_size: int
    drop_remainder: bool = False
    may_be_empty: bool = False

    @property
    def least(self) -> int:
        """Rows of the shortest batch: two, since batch normalisation needs them; 0 for batches of one."""
        return 0 if self.may_be_empty else min(2, self.batch_size // 2)

    @property
    def steps(self) -> int:
        """Batches of an epoch, on each rank."""
        fewest, most = self.total // self.ranks, -(-self.total // self.ranks)
        if self._leaves_out:
            return fewest // self.batch_size
        return -(-most // self.batch_size)

    @property
    def rows(self) -> range:
        """Positions of this rank's rows among all."""
        return range(self.total * self.rank // self.ranks, self.total * (self.rank + 1) // self.ranks)

    @property
    def _leaves_out(self) -> bool:
        return self.drop_remainder or (self.batch_size == 1 and not self.may_be_empty)

    def batch_rows(self, position: int) -> int:
        """Rows of this rank's batch at a step of the epoch."""
        if self._leaves_out or position < self.steps - 2:
            return self.batch_size
        last = len(self.rows) - (self.steps - 1) * self.batch_size
        moved = max(min(self.least, len(self.rows)) - last, 0) if self.steps > 1 else 0
        return last + moved if position == self.steps - 1 else self.batch_size - moved

    def weight(self, position: int) -> float:
        """What the mean over this rank's batch counts for, so that the mean over ranks is the mean over all rows."""
        if self.ranks == 1:
            return 1.0
        if position < self.steps - 2:
            return 1.0
        every = [replace(self, rank=rank).batch_rows(position) for rank in range(self.ranks)]
        return self.batch_rows(position) * self.ranks / sum(every)

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
