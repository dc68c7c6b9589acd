"""Finds out why a step failed, or will never end: another process has failed, or is gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch.distributed as dist

from recinfer.distributed.presence import Presence
from recinfer.distributed.store import StoreLostError
from recinfer.errors import RankError, RecinferError, ToldByOtherRankError
from recinfer.predict.rank_session import GO_ON, SUDDEN_SECONDS, Session
from recinfer.predict.stop import StopFlag

LOOK_SECONDS = 1.0
# How the libraries that carry collectives name themselves.
CARRIERS = ("gloo", "nccl", "connection closed by peer", "connection reset")

T = TypeVar("T")


class Lookout:
    """Looks after the other processes while this one takes steps with them.

    Args:
        session: this process's place among them.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        # Of its own: the session's is the main thread's.
        self._presence = Presence(session.roll)
        self._lock = threading.Lock()
        self._verdict: RecinferError | None = None

    def explain(self, error: Exception) -> Exception:
        """What is to blame for an error in a step: the error itself, or another process.

        Waits for some seconds where only the connection is known to have failed.
        """
        if isinstance(error, RecinferError) or not is_broken_connection(error):
            return error
        until = time.monotonic() + SUDDEN_SECONDS + 2
        while time.monotonic() < until:
            found = self.look(SUDDEN_SECONDS)
            if found is not None:
                return found
            time.sleep(0.2)
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return RankError(f"the connection with the other processes has failed: {line}", GO_ON)

    def look(self, patience: float | None = None) -> RecinferError | None:
        """Why nothing can come of the job any more, as this process is to say it; None where all is well.

        Args:
            patience: seconds of silence after which a process of another machine counts as gone.
        """
        with self._lock:
            if self._verdict is None:
                self._verdict = self._judge(patience)
            return self._verdict

    def _judge(self, patience: float | None) -> RecinferError | None:
        session = self._session
        failure = session.roll.failure() if session.roll.failures else None
        if failure is not None:
            return failure if session.leads else ToldByOtherRankError(failure.message)
        # Rank 0 watches all, the others rank 0: they hear from it.
        watched = session.others if session.leads or patience is not None else [0]
        gone = self._gone(watched, patience)
        if not gone:
            return None
        if session.leads:
            return session.lost(gone)
        return session.speak(session.lost([0])) if 0 in gone else ToldByOtherRankError("another process was lost")

    def _gone(self, ranks: Sequence[int], patience: float | None) -> list[int]:
        gone = self._presence.gone(ranks) if patience is None else self._presence.gone(ranks, patience)
        return [rank for rank in gone if not self._session.roll.has_ended(rank)]

    @contextmanager
    def watching(self, stop: StopFlag) -> Iterator[None]:
        """Inside, this process's stages are stopped as soon as nothing can come of them any more."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(LOOK_SECONDS):
                try:
                    found = self.look()
                except StoreLostError as error:
                    found = error
                if found is not None:
                    stop.fail("steps", found, "")
                    return

        thread = threading.Thread(target=watch, name="lookout", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def attend(session: Session, work: Callable[[], T]) -> T:
    """Does something that all processes do together, in a thread, which is left where one of them fails.

    Raises:
        RecinferError: what went wrong here, or, on rank 0, elsewhere.
    """
    results: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="together", daemon=True)
    thread.start()
    watched = session.others if session.leads else [0]
    gone = session.poll(lambda: not thread.is_alive(), lambda: watched)
    if gone:
        session.ending.check()
        raise session.lost(gone) if session.leads else session.speak(session.lost([0]))
    if errors:
        raise Lookout(session).explain(errors[0]) from errors[0]
    return results[0]


def is_broken_connection(error: Exception) -> bool:
    """Whether an error is one of a collective, rather than of what is computed."""
    return isinstance(error, dist.DistError) or any(name in str(error).lower() for name in CARRIERS)
