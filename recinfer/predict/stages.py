"""The four stages: read, parse, score, write. Each is a loop that one or more threads run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa
import torch

from recinfer.data.bad_rows import parse_good_rows
from recinfer.data.batch import batch_bytes
from recinfer.data.commit import Attempt, OutputFolder
from recinfer.data.readers.base import Reader
from recinfer.data.units import Unit
from recinfer.errors import BadRowError
from recinfer.predict.finite import rows_not_finite
from recinfer.predict.flow import InFlight, Item, Lane
from recinfer.predict.progress import Progress
from recinfer.predict.quarantine_policy import QuarantinePolicy
from recinfer.predict.scorer import Scorer


class Assemble(Protocol):
    """Makes the output batch of an item."""

    def __call__(self, item: Item, predictions: pa.RecordBatch) -> pa.RecordBatch:
        """Predictions and reserved columns, as the output schema orders them."""


Place = Callable[[str], None]


class ScoreStage(Protocol):
    """Turns parsed batches into scored ones."""

    def __call__(self, work: Work, into: Lane[Item], out: Lane[Item], at: Place) -> None:
        """The body of each scorer thread."""


@dataclass
class Work:
    """What the stages of one run share.

    Attributes:
        reader, scorer, output: where rows come from, what scores them, where they go.
        units: to score, in order; drawn one by one, by one thread.
        columns: to read.
        batch_rows: rows per batch, a multiple of the scorer's chunk.
        assemble: makes output batches.
        quarantine: what to do with rows that do not parse.
        in_flight, progress: shared counts.
        around_scoring: called after each scored batch.
        score: the score stage, where it is another than :func:`score_stage`.
        patience: seconds that stages get to end after a failure, where one of them may wait for ever.
    """

    reader: Reader
    scorer: Scorer
    output: OutputFolder
    units: Iterable[Unit]
    columns: Sequence[str] | None
    batch_rows: int
    assemble: Assemble
    quarantine: QuarantinePolicy
    in_flight: InFlight
    progress: Progress
    around_scoring: Callable[[], None] = field(default=lambda: None)
    score: ScoreStage | None = None
    patience: float | None = None


def read_stage(work: Work, out: Lane[Item], at: Place) -> None:
    """Reads units in order, batch by batch."""
    clock = work.progress.clocks["read"]
    for unit in work.units:
        at(f"{unit.path}, unit {unit.index}")
        batches = iter(
            work.reader.read(unit, work.columns, work.batch_rows, on_bad_row=work.quarantine.on_unreadable(unit))
        )
        number, first_row = 0, 0
        while True:
            with clock.work(f"reading {unit.path}, unit {unit.index}"):
                batch = next(batches, None)
            if batch is None:
                break
            item = Item(unit, number, first_row, batch, size=batch.nbytes)
            work.in_flight.take(item.size)
            out.put(item)
            number, first_row = number + 1, first_row + batch.num_rows
        out.put(Item(unit, number, first_row, None))


def parse_stage(work: Work, into: Lane[Item], out: Lane[Item], at: Place) -> None:
    """Turns record batches into tensors."""
    clock = work.progress.clocks["parse"]
    while (item := into.get()) is not None:
        at(item.place)
        if item.batch is not None:
            with clock.work(f"parsing {item.place}"):
                _parse(work, item)
        out.put(item)


def _parse(work: Work, item: Item) -> None:
    assert item.batch is not None
    if work.quarantine.enabled:
        parsed = parse_good_rows(work.scorer.parser, item.batch)
        item.tensors, item.kept, item.bad = parsed.tensors, parsed.kept, parsed.bad
        work.quarantine.count(len(item.bad))
    else:
        try:
            item.tensors = work.scorer.parser(item.batch)
        except BadRowError as error:
            raise item.with_row(error) from error
    grown = batch_bytes(item.tensors)
    work.in_flight.grow(grown)
    item.size += grown


def score_stage(work: Work, into: Lane[Item], out: Lane[Item], at: Place) -> None:
    """Scores parsed batches, chunk by chunk."""
    # One core per scorer thread; the setting is per thread, so each sets its own.
    torch.set_num_threads(1)
    clock = work.progress.clocks["score"]
    while (item := into.get()) is not None:
        at(item.place)
        if item.batch is not None:
            with clock.work(f"scoring {item.place}"):
                _score(work, item)
            work.around_scoring()
        out.put(item)


def _score(work: Work, item: Item) -> None:
    assert item.batch is not None and item.tensors is not None
    rows = item.batch.num_rows if item.kept is None else len(item.kept)
    predictions = work.scorer.score_tensors(item.tensors, rows, item.kept)
    hand_over(work, item, predictions)


def hand_over(work: Work, item: Item, predictions: pa.RecordBatch) -> None:
    """Gives a scored batch what the writer needs."""
    item.output = work.assemble(item, predictions)
    item.not_finite = rows_not_finite(predictions)
    item.tensors = None


def write_stage(work: Work, into: Lane[Item], at: Place) -> None:
    """Writes each unit's batches in order and publishes it; the only thread that touches attempts."""
    clock = work.progress.clocks["write"]
    open_units: dict[int, UnitWriter] = {}
    try:
        while (item := into.get()) is not None:
            at(item.place)
            writer = open_units.setdefault(item.unit.index, UnitWriter(work, item.unit, at))
            with clock.work(f"writing {item.place}"):
                if writer.add(item):
                    del open_units[item.unit.index]
    finally:
        for writer in open_units.values():
            writer.abandon()


class UnitWriter:
    """Puts the batches of one unit back into order."""

    def __init__(self, work: Work, unit: Unit, at: Place) -> None:
        self._work = work
        self._at = at
        self._unit = unit
        self._attempt: Attempt | None = None
        self._waiting: dict[int, Item] = {}
        self._next = 0

    def add(self, item: Item) -> bool:
        """Takes a batch; True when it was the last one and the unit is published."""
        if self._attempt is None:
            self._attempt = self._work.output.attempt(self._unit)
        self._waiting[item.number] = item
        while (ready := self._waiting.pop(self._next, None)) is not None:
            self._next += 1
            # Not the batch that came, but the one that is written now: others may have waited for it.
            self._at(ready.place)
            if ready.batch is None:
                self._publish()
                return True
            self._write(ready)
        return False

    def abandon(self) -> None:
        """Drops what was written of a unit that will not be finished."""
        if self._attempt is not None:
            self._attempt.abandon()

    def _write(self, item: Item) -> None:
        assert item.output is not None and item.batch is not None and self._attempt is not None
        self._attempt.write(item.output)
        if item.bad:
            self._attempt.quarantine(self._work.quarantine.rows(self._unit, item.first_row, item.batch, item.bad))
        self._work.progress.add_rows(item.batch.num_rows, item.not_finite, item.place)
        self._work.in_flight.give_back(item.size)

    def _publish(self) -> None:
        assert self._attempt is not None
        unreadable = self._work.quarantine.unreadable(self._unit)
        if unreadable:
            self._attempt.quarantine(unreadable)
        self._attempt.publish()
        self._work.progress.add_unit()
