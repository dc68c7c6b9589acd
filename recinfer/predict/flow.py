"""What flows between stages: queues that watch the stop flag, and a bound on the bytes in flight."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa

from recinfer.data.bad_rows import BadRow
from recinfer.data.parser import Tensors
from recinfer.data.units import Unit
from recinfer.errors import BadRowError
from recinfer.predict.stop import StopFlag

# How often a waiting stage looks at the stop flag, in seconds; all stages end well within a second of a failure.
POLL_SECONDS = 0.1

T = TypeVar("T")


@dataclass
class Item:
    """A batch of a unit on its way through the stages; each stage adds what it makes.

    Attributes:
        unit: the work unit.
        number: of the batch inside its unit, from 0.
        first_row: position of the batch's first row inside its unit.
        batch: the rows; None marks the unit's end.
        size: bytes that the batch holds in flight.
        tensors: what the parser made, dropped after scoring.
        kept: positions of the rows that parsed, or None for all.
        bad: the rows that did not parse.
        output: predictions and reserved columns.
        not_finite: rows with a prediction that is no number.
    """

    unit: Unit
    number: int
    first_row: int
    batch: pa.RecordBatch | None
    size: int = 0
    tensors: Tensors | None = None
    kept: np.ndarray | None = None
    bad: list[BadRow] = field(default_factory=list)
    output: pa.RecordBatch | None = None
    not_finite: int = 0

    @property
    def place(self) -> str:
        """Where the item comes from, for messages; rows count from 1."""
        first = self.unit.first_row + self.first_row + 1
        rows = f", rows {first} to {first + self.batch.num_rows - 1}" if self.batch is not None else ""
        return f"{self.unit.path}, unit {self.unit.index}{rows}"

    def with_row(self, error: BadRowError) -> BadRowError:
        """An error about a row of the batch, with the row's number in the file where it is known."""
        if error.row is None:
            return error
        number = self.unit.first_row + self.first_row + error.row + 1
        return BadRowError(f"{error.message}, in row {number}", error.hint, error.row)


class Lane(Generic[T]):
    """A queue between two stages; ends when all its producers have closed it.

    Args:
        stop: watched while waiting.
        producers: how many threads put items in.
    """

    def __init__(self, stop: StopFlag, producers: int) -> None:
        # None marks the end: it wakes a consumer at once, which leaves it for the next one.
        self._queue: queue.SimpleQueue[T | None] = queue.SimpleQueue()
        self._stop = stop
        self._lock = threading.Lock()
        self._open = producers

    def put(self, item: T) -> None:
        """Adds an item; what bounds the lane is :class:`InFlight`, not its length."""
        self._stop.check()
        self._queue.put(item)

    def close(self) -> None:
        """Says that one producer is done."""
        with self._lock:
            self._open -= 1
            if self._open == 0:
                self._queue.put(None)

    def get(self) -> T | None:
        """The next item, or None after the last."""
        while True:
            try:
                return self.poll(POLL_SECONDS)
            except queue.Empty:
                continue

    def poll(self, seconds: float) -> T | None:
        """The next item, or None after the last.

        Raises:
            queue.Empty: none came for so long.
        """
        self._stop.check()
        item = self._queue.get(timeout=seconds)
        if item is None:
            self._queue.put(None)
        return item


class InFlight:
    """Bounds the bytes of all batches between reader and writer, so that memory stays flat at any input size.

    Args:
        limit: bytes; one batch may always fly, however large.
        stop: watched while waiting.
    """

    def __init__(self, limit: int, stop: StopFlag) -> None:
        self._limit = limit
        self._stop = stop
        self._held = 0
        self._freed = threading.Condition()
        self.peak = 0

    def take(self, size: int) -> None:
        """Waits until a batch of this size may start."""
        with self._freed:
            while self._held and self._held + size > self._limit:
                self._stop.check()
                self._freed.wait(POLL_SECONDS)
            self._add(size)

    def grow(self, size: int) -> None:
        """Counts bytes that a batch already in flight has come to hold; never waits, since waiting could lock up."""
        with self._freed:
            self._add(size)

    def give_back(self, size: int) -> None:
        """Says that a batch is done."""
        with self._freed:
            self._held -= size
            self._freed.notify_all()

    def _add(self, size: int) -> None:
        self._held += size
        self.peak = max(self.peak, self._held)
