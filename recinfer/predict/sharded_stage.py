"""The score stage of a sharded model: batches become steps that all processes take together."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from recinfer.data.parser import Tensors
from recinfer.distributed.agreement import Agreement
from recinfer.predict.flow import Item, Lane
from recinfer.predict.predictions import to_arrow
from recinfer.predict.sharded_batch import StepBatch
from recinfer.predict.sharded_pipeline import PredictPipelineSparseDist
from recinfer.predict.sharded_scorer import ShardedScorer
from recinfer.predict.sharded_steps import AgreedSteps
from recinfer.predict.stages import Place, Work, hand_over
from recinfer.predict.stop import StopFlag, Stopped

# A process whose next rows are not parsed after so long takes part in the step without any.
PATIENCE_SECONDS = 0.05


@dataclass(frozen=True)
class Chunk:
    """Where the rows of a step come from.

    Attributes:
        item: the batch.
        is_last: whether they are its last ones.
    """

    item: Item
    is_last: bool


class ItemChunks:
    """The chunks of parsed batches, one by one.

    Args:
        work: of this process.
        into, out: parsed batches; those that need no scoring go straight on.
        stop: notes what goes wrong here.
    """

    def __init__(self, work: Work, into: Lane[Item], out: Lane[Item], stop: StopFlag) -> None:
        self.more = True
        self.returned = 0
        self._handed = 0
        self._work = work
        self._into = into
        self._out = out
        self._stop = stop
        self._chunks: Iterator[StepBatch] = iter(())
        self._place = ""

    @property
    def held(self) -> int:
        """How many chunks were handed out and have not come back."""
        return self._handed - self.returned

    def take(self) -> StepBatch | None:
        """The next chunk; None where none is ready.

        Raises:
            Stopped: this process cannot go on.
        """
        try:
            while self.more:
                chunk = next(self._chunks, None)
                if chunk is not None:
                    self._handed += 1
                    return chunk
                item = self._into.poll(PATIENCE_SECONDS)
                if item is None:
                    self.more = False
                else:
                    self._place = item.place
                    self._begin(item)
        except queue.Empty:
            return None
        except Stopped:
            raise
        except BaseException as error:
            self._stop.fail("score", error, self._place)
            raise Stopped from error
        self._stop.check()
        return None

    def _begin(self, item: Item) -> None:
        if item.batch is None:
            self._out.put(item)
            return
        assert item.tensors is not None
        rows = item.batch.num_rows if item.kept is None else len(item.kept)
        if rows:
            self._chunks = _chunks(self._work.scorer.cut(item.tensors, rows, item.kept), item)
        else:
            deliver(self._work, item, [], self._out)


def _chunks(cut: Iterator[Tensors], item: Item) -> Iterator[StepBatch]:
    chunk = next(cut)
    for following in cut:
        yield StepBatch(chunk, Chunk(item, False))
        chunk = following
    yield StepBatch(chunk, Chunk(item, True))


def deliver(work: Work, item: Item, predictions: list[Tensors], out: Lane[Item]) -> None:
    """Sends a scored batch to the writer."""
    hand_over(work, item, to_arrow(predictions, work.scorer.outputs))
    out.put(item)


@dataclass(frozen=True)
class StepStage:
    """Scores what is parsed, in step with the other processes, until none of them has rows left.

    Attributes:
        scorer: of the sharded model.
        agreement: with the other processes.
        stop: of this process's stages.
        is_ending, end: whether this process was asked to end, and what asks it.
        explain: makes an error of what a step raised.
    """

    scorer: ShardedScorer
    agreement: Agreement
    stop: StopFlag
    is_ending: Callable[[], bool]
    end: Callable[[], None]
    explain: Callable[[Exception], Exception]

    def __call__(self, work: Work, into: Lane[Item], out: Lane[Item], at: Place) -> None:
        """The stage's body; run by one thread."""
        self.scorer.enter_thread()
        own = ItemChunks(work, into, out, self.stop)
        steps = AgreedSteps(own, self.scorer.empty, self.agreement, self.is_ending, self.end, self.stop.stop)
        self.scorer.model.around = _timed(work, at)
        pipeline = PredictPipelineSparseDist(self.scorer.module, self.scorer.device)
        collected: list[Tensors] = []
        try:
            for batch, predictions in pipeline.run(steps):
                if batch.origin is not None:
                    own.returned += 1
                    self._collect(work, batch.origin, predictions, collected, out, at)
            if steps.error is not None:
                raise steps.error
        except Exception as error:
            found = self.explain(error)
            if found is not error:
                # The rows in hand have nothing to do with it.
                at("")
            raise found from error

    def _collect(
        self, work: Work, chunk: Chunk, predictions: Tensors, collected: list[Tensors], out: Lane[Item], at: Place
    ) -> None:
        """Takes a chunk's predictions; after a failure here the steps go on, since the others wait for this process,
        until all of them have agreed to stop."""
        at(chunk.item.place)
        try:
            self.stop.check()
            collected.append({name: tensor.to("cpu") for name, tensor in predictions.items()})
            if chunk.is_last:
                deliver(work, chunk.item, collected, out)
                work.around_scoring()
                collected.clear()
        except Stopped:
            collected.clear()
        except BaseException as error:
            self.stop.fail("score", error, chunk.item.place)
            collected.clear()


def _timed(work: Work, at: Place) -> Callable[[StepBatch], AbstractContextManager[Any]]:
    clock = work.progress.clocks["score"]

    def around(batch: StepBatch) -> AbstractContextManager[Any]:
        place = "" if batch.origin is None else batch.origin.item.place
        at(place)
        return clock.work(f"scoring {place}" if place else "taking part without rows")

    return around
