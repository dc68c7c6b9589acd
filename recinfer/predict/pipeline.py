"""Runs the stages in threads, watches them, and ends them together."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from recinfer import interrupts
from recinfer.predict.flow import Item, Lane
from recinfer.predict.progress import Snapshot
from recinfer.predict.stages import Place, Work, parse_stage, read_stage, score_stage, write_stage
from recinfer.predict.stop import StopFlag, Stopped

logger = logging.getLogger(__name__)

OnProgress = Callable[[Snapshot], None]


@dataclass(frozen=True)
class Watch:
    """How a run is watched.

    Attributes:
        on_progress: called every ``interval`` seconds.
        interval: seconds between looks.
        stall_seconds: a run in which no row came through for so long is reported.
        threads: scorer threads.
    """

    on_progress: OnProgress | None = None
    interval: float = 0.5
    stall_seconds: float = 120.0
    threads: int = 1


def run_pipeline(work: Work, watch: Watch, stop: StopFlag) -> None:
    """Scores all units of ``work``; returns when the last one is published.

    Raises:
        RecinferError: a stage failed; all stages have ended and the output folder can be resumed.
        KeyboardInterrupt: the user stopped the run; likewise.
    """
    read, parsed, scored = Lane[Item](stop, 1), Lane[Item](stop, 1), Lane[Item](stop, watch.threads)
    score = work.score or score_stage
    threads = [
        _thread("read", 0, stop, lambda at: read_stage(work, read, at), read),
        _thread("parse", 0, stop, lambda at: parse_stage(work, read, parsed, at), parsed),
        *(
            _thread("score", index, stop, lambda at: score(work, parsed, scored, at), scored)
            for index in range(watch.threads)
        ),
        _thread("write", 0, stop, lambda at: write_stage(work, scored, at), None),
    ]
    for thread in threads:
        thread.start()
    try:
        _watch(work, watch, threads)
    finally:
        if any(thread.is_alive() for thread in threads):
            stop.stop()
        _join(threads, work.patience)
    if stop.failure is not None:
        raise stop.failure.as_error() from stop.failure.error


def _join(threads: list[threading.Thread], patience: float | None) -> None:
    until = None if patience is None else time.monotonic() + patience
    for thread in threads:
        thread.join(None if until is None else max(until - time.monotonic(), 0.0))


def _watch(work: Work, watch: Watch, threads: list[threading.Thread]) -> None:
    reported = 0.0
    writer = threads[-1]
    while writer.is_alive():
        writer.join(watch.interval)
        interrupts.check()
        if watch.on_progress is not None:
            watch.on_progress(work.progress.snapshot())
        stalled = work.progress.stalled_seconds()
        if stalled - reported > watch.stall_seconds:
            reported = stalled
            logger.warning("no row came through for %.0f s; the stages:\n%s", stalled, work.progress.describe())
        elif stalled < reported:
            reported = 0.0


def _thread(
    stage: str, index: int, stop: StopFlag, body: Callable[[Place], None], out: Lane[Item] | None
) -> threading.Thread:
    place = [""]

    def run() -> None:
        try:
            body(lambda where: place.__setitem__(0, where))
        except Stopped:
            return
        except BaseException as error:  # noqa: BLE001: a thread has nobody above it; the flag carries every failure up
            stop.fail(stage, error, place[0])
        finally:
            if out is not None:
                out.close()

    return threading.Thread(target=run, name=f"{stage}-{index}", daemon=True)
