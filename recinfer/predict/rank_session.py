"""One process's place among those that predict together: what it waits for, and how a failure becomes one message."""

from __future__ import annotations

import logging
import math
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from recinfer.data.units import Unit
from recinfer.distributed.ending import Ending, Terminated
from recinfer.distributed.heartbeat import Heartbeat
from recinfer.distributed.presence import PATIENCE_SECONDS, Presence
from recinfer.distributed.roll import Roll
from recinfer.distributed.store import Board, StoreLostError
from recinfer.distributed.unit_claims import drawn, held_by
from recinfer.errors import RankError, RecinferError, StageError, ToldByOtherRankError

logger = logging.getLogger(__name__)

GO_ON = "the same command, with any number of processes, goes on from here"
# A failure is told within a minute, whoever is asked to end and however slowly.
LAST_SECONDS = 25.0
SUDDEN_SECONDS = 6.0
GOODBYE_SECONDS = 5.0


class Session:
    """A process among several; :func:`open_session` makes one.

    Attributes:
        roll, presence: of all processes.
        ending: whether this one was asked to end.
        heart: its heartbeat.
        pending: the units of the job, once they are known.
        missing: the units without a part, looked up anew.
        doing: what the processes do, where that is not scoring units.
    """

    def __init__(self, board: Board, rank: int, size: int) -> None:
        self.board = board
        self.roll = Roll(board, rank, size)
        self.presence = Presence(self.roll)
        self.ending = Ending()
        self.heart = Heartbeat(self.roll, self.ending.ask)
        self.pending: Sequence[Unit] = ()
        self.missing: Callable[[], Iterable[Unit]] = tuple
        self._speaks: bool | None = None
        self.doing = ""

    @property
    def leads(self) -> bool:
        """Whether this is rank 0, which plans, opens and completes the output, and speaks for all."""
        return self.roll.rank == 0

    @property
    def others(self) -> list[int]:
        """The other ranks."""
        return [rank for rank in range(self.roll.size) if rank != self.roll.rank]

    def poll(self, condition: Callable[[], bool], ranks: Callable[[], Iterable[int]], heed: bool = True) -> list[int]:
        """Waits until a condition holds; ends early where one of ``ranks`` is gone.

        Args:
            ranks: whom the condition waits for; asked now and then.
            heed: raise :class:`Terminated` when asked to end.

        Returns:
            Those of ``ranks`` that are gone; empty when the condition holds.
        """
        pause, looked = min(0.05 * max(self.roll.size // 10, 1), 2.0), time.monotonic()
        while not condition():
            if heed:
                self.ending.check()
            if time.monotonic() - looked > 1.0:
                looked = time.monotonic()
                gone = self.presence.gone(ranks(), PATIENCE_SECONDS)
                if gone and not condition():
                    return gone
            time.sleep(pause)
        return []

    def wait_for_others(self, until: float = math.inf) -> list[int]:
        """Waits until each of the others has failed, left, or is gone.

        Args:
            until: ``time.monotonic()`` at which to give up.

        Returns:
            Those that are gone.
        """
        waiting, lost = set(self.others), set[int]()

        def over() -> bool:
            waiting.difference_update([rank for rank in waiting if self.roll.has_ended(rank)])
            return not waiting or time.monotonic() > until

        while gone := self.poll(over, lambda: sorted(waiting), heed=False):
            lost.update(gone)
            waiting.difference_update(gone)
        return sorted(lost)

    def why(self) -> RecinferError:
        """Why this process was asked to end: another one failed, or is gone; or somebody sent SIGTERM."""
        until = time.monotonic() + SUDDEN_SECONDS + 2
        while True:
            failure = self.roll.failure()
            if failure is not None:
                return failure
            gone = [rank for rank in self.presence.gone(self.others, SUDDEN_SECONDS) if not self.roll.has_ended(rank)]
            if gone:
                return self.lost(gone)
            if time.monotonic() > until:
                return RankError("stopped by SIGTERM; nothing that was done is lost", GO_ON)
            time.sleep(0.5)

    def lost(self, ranks: Sequence[int]) -> RankError:
        """The error that names ranks which are gone, and the units that they held."""
        missing = list(self.missing())
        lines = [self._lost_line(rank, {unit.index for unit in missing}) for rank in ranks]
        if self.pending:
            done = len(self.pending) - len(missing)
            lines.append(f"{done} of {len(self.pending)} units are done")
        return RankError("; ".join(lines), GO_ON)

    def _lost_line(self, rank: int, missing: set[int]) -> str:
        place = self.roll.where(rank)
        name = f"rank {rank} ({place.text})" if place is not None else f"rank {rank}"
        if self.doing and place is not None:
            return f"{name} was lost during {self.doing}"
        if not self.pending:
            return f"{name} was lost before it was ready" if place is not None else f"{name} never came"
        held = [self.pending[position] for position in held_by(self.board, rank)]
        units = [
            f"unit {unit.index} ({unit.path}, rows {unit.first_row + 1} to {unit.first_row + unit.rows})"
            for unit in held
            if unit.index in missing
        ]
        begun = drawn(self.board, len(self.pending))
        return f"{name} was lost while it held " + (", ".join(units) or f"no unit ({begun} were begun)")

    def close(self, message: str) -> None:
        """Rank 0's last word: the others may end."""
        self.board.put("over", message)

    def wait_for_end(self) -> None:
        """Waits for rank 0's last word, or until it is gone.

        Raises:
            RankError: rank 0 is gone, and this process is the one to say so.
            ToldByOtherRankError: the job has failed, which another process says.
        """
        if self.poll(lambda: self.board.read("over") is not None, lambda: [0], heed=False):
            raise self.speak(self.lost([0]))
        if self.board.read("over") != "done":
            raise ToldByOtherRankError("the job has failed")

    def say_goodbye(self) -> None:
        """The last use of the store; where it ends with this process, the others come first."""
        try:
            self.board.add("goodbyes", 1)
            if self.board.served_here:
                until = time.monotonic() + GOODBYE_SECONDS
                while self.board.add("goodbyes", 0) < self.roll.size and time.monotonic() < until:
                    if self.presence.gone(self.others) == self.others:
                        break
                    time.sleep(0.05)
        except StoreLostError as error:
            logger.debug("left without a word: %s", error)

    def speak(self, error: RecinferError) -> RecinferError:
        """The error, for one of those that outlive rank 0; for the others, what says nothing."""
        if self._speaks is None:
            self._speaks = self.board.add("speakers", 1) == 1
        return error if self._speaks else ToldByOtherRankError(error.message)


@contextmanager
def open_session(board: Board, rank: int, size: int) -> Iterator[Session]:
    """Takes part in a job; whatever ends it early becomes one message, of rank 0 where that lives.

    Raises:
        RecinferError: on rank 0, what went wrong on whichever rank; elsewhere only where rank 0 cannot say it.
        ToldByOtherRankError: on the others.
    """
    session = Session(board, rank, size)
    with session.ending.listening():
        session.roll.enter()
        session.heart.start()
        try:
            yield session
        except BaseException as error:
            if session.leads:
                _end_all(session, error)
            _end_this(session, error)
        finally:
            session.heart.stop()
            session.say_goodbye()


def _end_all(session: Session, error: BaseException) -> None:
    """Rank 0's end: tells the others, gives them time to finish what they have in hand, raises what users see."""
    told = session.why() if isinstance(error, Terminated) else error
    if not isinstance(error, StoreLostError):
        if not session.roll.failures:
            session.roll.fail(_as_known(told))
        session.close("failed")
        session.wait_for_others(time.monotonic() + LAST_SECONDS)
    raise told from (None if told is error else error)


def _end_this(session: Session, error: BaseException) -> None:
    """Another rank's end."""
    if isinstance(error, StoreLostError | ToldByOtherRankError):
        raise error
    if isinstance(error, Terminated):
        session.roll.leave({})
        if session.presence.gone([0], SUDDEN_SECONDS) and not session.roll.has_ended(0):
            raise session.speak(session.lost([0])) from None
        raise ToldByOtherRankError("asked to end") from error
    told = _as_known(error)
    session.roll.fail(told)
    until = time.monotonic() + LAST_SECONDS

    def over() -> bool:
        return session.board.read("over") is not None or time.monotonic() > until

    if session.poll(over, lambda: [0], heed=False):
        raise session.speak(told) from error
    raise ToldByOtherRankError(told.message) from error


def _as_known(error: BaseException) -> RecinferError:
    """An error as others can tell it; a bug with its traceback."""
    if isinstance(error, RecinferError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return RankError("stopped; nothing that was done is lost", GO_ON)
    return StageError(f"{error!r}\n{''.join(traceback.format_exception(error)).rstrip()}", "this is a bug of recinfer")
