"""One flag that every stage watches, and the failure that raised it."""

from __future__ import annotations

import threading
import traceback
from dataclasses import dataclass

from recinfer.errors import RecinferError, StageError


@dataclass
class Failure:
    """What went wrong, and where.

    Attributes:
        stage: name of the stage.
        error: the exception.
        place: unit and rows that the stage was working on.
        trace: the traceback as text.
    """

    stage: str
    error: BaseException
    place: str
    trace: str

    def as_error(self) -> RecinferError:
        """The failure as the error that the user sees."""
        if isinstance(self.error, RecinferError):
            message = f"{self.error.message} ({self.place})" if self.place else self.error.message
            known = type(self.error)(message, self.error.hint)
            return known
        return StageError(
            f"stage {self.stage!r} failed at {self.place or 'start'}: {self.error!r}\n{self.trace.rstrip()}",
            "the output folder can be resumed: run the same command again",
        )


class Stopped(Exception):
    """Raised inside a stage when another one failed; it ends the stage quietly."""


class StopFlag:
    """Set once, by the first failure or by the user."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self.failure: Failure | None = None

    def stop(self) -> None:
        """Stops all stages without a failure."""
        self._event.set()

    def fail(self, stage: str, error: BaseException, place: str) -> None:
        """Notes the first failure and stops all stages."""
        with self._lock:
            if self.failure is None:
                self.failure = Failure(stage, error, place, "".join(traceback.format_exception(error)))
        self._event.set()

    @property
    def is_set(self) -> bool:
        """Whether the stages should end."""
        return self._event.is_set()

    def check(self) -> None:
        """Raises :class:`Stopped` once the flag is set."""
        if self._event.is_set():
            raise Stopped
