"""A thread that says every other second that its process is there, and hears whether another one has failed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from recinfer.distributed.roll import Roll
from recinfer.distributed.store import StoreLostError

logger = logging.getLogger(__name__)

BEAT_SECONDS = 2.0


class Heartbeat:
    """Beats from :meth:`start` to :meth:`stop`.

    Args:
        roll: of the processes.
        on_failure: called, from the thread, once another process has failed.
        seconds: between beats.

    Attributes:
        rows: counts this process's rows; set while it scores.
        job_rows: rows of all processes, at the last beat.
    """

    def __init__(self, roll: Roll, on_failure: Callable[[], None], seconds: float = BEAT_SECONDS) -> None:
        self.rows: Callable[[], int] = lambda: 0
        self.job_rows = 0
        self._roll = roll
        self._on_failure = on_failure
        self._seconds = seconds
        self._told = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends; returns when the thread has."""
        self._end.set()
        self._thread.join()

    def beat(self) -> None:
        """One beat: three steps of the store."""
        rows = self.rows()
        self._roll.beat()
        self.job_rows = self._roll.board.add("rows", rows - self._told)
        self._told = rows
        if self._roll.failures:
            self._on_failure()

    def _run(self) -> None:
        try:
            self.beat()
            while not self._end.wait(self._seconds):
                self.beat()
        except StoreLostError as error:
            # Who needs the store next hears of it; units in hand can still be finished without.
            logger.debug("no more beats: %s", error)
