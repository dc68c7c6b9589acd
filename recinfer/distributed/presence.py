"""Finds out which processes are gone without having said so."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

from recinfer.distributed.roll import Roll, Whereabouts, whereabouts

# A process beats every other second; one that was silent for so long is gone.
PATIENCE_SECONDS = 30.0
# One that has never been heard of may still be importing torch from a slow disk.
FIRST_SECONDS = 50.0


class Presence:
    """Watches the beats of other processes; on the same machine, whether they live.

    Args:
        roll: knows them.
        clock: seconds; tests bring their own.
        alive: whether a process of this machine lives.
    """

    def __init__(
        self,
        roll: Roll,
        clock: Callable[[], float] = time.monotonic,
        alive: Callable[[int], bool] | None = None,
    ) -> None:
        self._roll = roll
        self._clock = clock
        self._alive = alive or is_alive
        self._here = whereabouts()
        self._heard: dict[int, tuple[int, float]] = {}
        self._places: dict[int, Whereabouts] = {}

    def gone(self, ranks: Iterable[int], patience: float = PATIENCE_SECONDS) -> list[int]:
        """Those of ``ranks`` that are there no more, or were silent for ``patience`` seconds."""
        return [rank for rank in ranks if rank != self._roll.rank and self._is_gone(rank, patience)]

    def _is_gone(self, rank: int, patience: float) -> bool:
        place = self._place(rank)
        if place is not None and place.space == self._here.space:
            return not self._alive(place.pid)
        beats, now = self._roll.beats(rank), self._clock()
        before = self._heard.get(rank)
        if before is None or before[0] != beats:
            self._heard[rank] = (beats, now)
            return False
        return now - before[1] > (max(patience, FIRST_SECONDS) if place is None else patience)

    def _place(self, rank: int) -> Whereabouts | None:
        if rank not in self._places:
            place = self._roll.where(rank)
            if place is None:
                return None
            self._places[rank] = place
        return self._places[rank]


def is_alive(pid: int) -> bool:
    """Whether a process of this machine lives."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _has_ended(pid)


def _has_ended(pid: int) -> bool:
    """Whether a process has ended and only waits for its parent to look."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except (OSError, IndexError):
        return False
