"""Which steps processes agree on: here each is a thread, and they agree through a barrier."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import pytest

from recinfer.distributed.agreement import Word
from recinfer.predict.sharded_batch import StepBatch
from recinfer.predict.sharded_steps import AgreedSteps
from recinfer.predict.stop import Stopped

EMPTY = StepBatch({})


class Table:
    """Where the processes tell each other their words."""

    def __init__(self, size: int) -> None:
        self._words: dict[int, Word] = {}
        self._barrier = threading.Barrier(size, timeout=10)

    def hear(self, rank: int, word: Word) -> Word:
        self._words[rank] = word
        self._barrier.wait()
        words = list(self._words.values())
        self._barrier.wait()
        return Word(*(any(getattr(each, name.name) for each in words) for name in fields(Word)))


@dataclass
class Process:
    """What a process brings: numbers of batches, None where none is ready, or an error."""

    brings: Sequence[Any]
    ending: bool = False
    more: bool = True
    handed: int = 0
    returned: int = 0
    steps: list[Any] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    @property
    def held(self) -> int:
        return self.handed - self.returned

    def take(self) -> StepBatch | None:
        if not self.brings:
            self.more = False
            return None
        first, *self.brings = self.brings
        if first is Stopped:
            raise Stopped
        if first is None:
            return None
        self.handed += 1
        return StepBatch({}, first)

    def run(self, agreement: Any) -> None:
        """Takes steps as the pipeline does: a batch comes back scored when the next one has come, or at the end."""
        end, stop = (lambda: self.told.append("end")), (lambda: self.told.append("stop"))
        before: StepBatch | None = None
        for batch in AgreedSteps(self, EMPTY, agreement, lambda: self.ending, end, stop):
            self.steps.append(batch.origin)
            self.returned += before is not None and before.origin is not None
            before = batch


def run(*processes: Process) -> None:
    """Runs processes to their end."""
    table, failed = Table(len(processes)), list[BaseException]()

    class Agreement:
        def __init__(self, rank: int) -> None:
            self.hear: Callable[[Word], Word] = lambda word: table.hear(rank, word)

    def body(rank: int, process: Process) -> None:
        try:
            process.run(Agreement(rank))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=body, args=each, daemon=True) for each in enumerate(processes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not failed
    assert not any(thread.is_alive() for thread in threads)


def test_who_has_no_rows_left_takes_part_without() -> None:
    one, other, third = Process([1, 2, 3]), Process([4]), Process([])
    run(one, other, third)
    assert (one.steps, other.steps, third.steps) == ([1, 2, 3], [4, None, None], [None, None, None])


def test_nobody_waits_for_rows_that_are_not_ready() -> None:
    one, other = Process([1, 2, 3]), Process([None, None, 4, 5])
    run(one, other)
    assert [step for step in one.steps if step] == [1, 2, 3]
    assert other.steps[:2] == [None, None] and [step for step in other.steps if step] == [4, 5]
    assert len(one.steps) == len(other.steps)


def test_a_batch_that_is_held_comes_out_while_all_wait_for_rows() -> None:
    class Waits(Process):
        def take(self) -> StepBatch | None:
            # As a reader that may not go on before what it has read is written.
            return None if self.held else super().take()

    one, other = Waits([1, 2]), Process([])
    run(one, other)
    assert one.steps == [1, None, 2, None]
    assert other.steps == [None] * 4


def test_all_stop_where_one_cannot_go_on() -> None:
    one, other = Process([1, 2, Stopped]), Process([3, 4, 5, 6])
    run(one, other)
    assert (one.steps, other.steps) == ([1, 2], [3, 4])
    assert one.told == other.told == ["stop"]


def test_all_hear_that_one_is_to_end() -> None:
    one, other = Process([1], ending=True), Process([2, 3])
    run(one, other)
    # What is in hand is still done.
    assert (one.steps, other.steps) == ([1, None], [2, 3])
    assert set(one.told) == set(other.told) == {"end"}


def test_nobody_has_anything() -> None:
    one, other = Process([]), Process([])
    run(one, other)
    assert one.steps == other.steps == []


def test_a_connection_that_breaks_ends_the_steps_and_is_kept() -> None:
    class Broken:
        def hear(self, word: Word) -> Word:
            raise RuntimeError("Connection closed by peer")

    steps = AgreedSteps(Process([1]), EMPTY, Broken(), lambda: False, lambda: None, lambda: None)  # type: ignore[arg-type]
    with pytest.raises(StopIteration):
        next(steps)
    assert str(steps.error) == "Connection closed by peer"
