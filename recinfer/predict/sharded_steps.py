"""Which batch a process brings to each step that all processes take together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from recinfer.distributed.agreement import Agreement, Word
from recinfer.predict.sharded_batch import StepBatch
from recinfer.predict.stop import Stopped


class OwnBatches(Protocol):
    """A process's own batches.

    Attributes:
        more: whether another one may come.
        held: how many were handed out and have not come back scored.
    """

    more: bool

    @property
    def held(self) -> int: ...

    def take(self) -> StepBatch | None:
        """The next batch; None where none is ready.

        Raises:
            Stopped: this process cannot go on.
        """


class AgreedSteps:
    """An iterator over this process's batch for each step; all processes' iterators end together.

    A process without rows, or whose rows are not ready yet, takes part with a batch of no rows, so none waits for
    another one's reader. A process that cannot go on, or was asked to end, says so here, and all do the same.

    Args:
        own: this process's batches.
        empty: the batch of no rows.
        agreement: with the other processes.
        is_ending: whether this process was asked to end.
        end: called once any process was.
        stop: called once any process cannot go on.

    Attributes:
        error: why the processes could not agree any more; the iterator has ended then.
    """

    def __init__(
        self,
        own: OwnBatches,
        empty: StepBatch,
        agreement: Agreement,
        is_ending: Callable[[], bool],
        end: Callable[[], None],
        stop: Callable[[], None],
    ) -> None:
        self._own = own
        self._empty = empty
        self._agreement = agreement
        self._is_ending = is_ending
        self._end = end
        self._stop = stop
        self.error: Exception | None = None

    def __iter__(self) -> AgreedSteps:
        return self

    def __next__(self) -> StepBatch:
        while True:
            batch, word = self._next()
            try:
                said = self._agreement.hear(word)
            except RuntimeError as error:
                # Not raised here: torchrec's thread would print it.
                self.error = error
                raise StopIteration from error
            if said.ending:
                self._end()
            if said.stop:
                self._stop()
                raise StopIteration
            # At the end the pipeline gives what it holds by itself.
            if said.rows or (said.held and said.more):
                return batch or self._empty
            if not said.more:
                raise StopIteration

    def _next(self) -> tuple[StepBatch | None, Word]:
        try:
            batch = self._own.take()
        except Stopped:
            return None, Word(stop=True)
        more, held = self._own.more, self._own.held > (batch is not None)
        return batch, Word(batch is not None, more, held, self._is_ending())
