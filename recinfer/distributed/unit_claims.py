"""How processes share the units of a job: each draws the next one from a counter, so none waits for another."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from recinfer.distributed.store import Board


class UnitClaims:
    """Draws positions 0 to ``count - 1``; each comes to exactly one of the processes that share a store.

    A draw is one step of a counter that never goes back, and a note of what the process holds, so that others can say
    which unit was lost with it: two store operations a unit, and one key a process.

    Used by one thread.

    Args:
        board: shared by all processes.
        rank: of this one.
        count: how many there are to draw.
        until: asked before each draw; True ends the drawing.
        is_done: whether a position that was drawn needs no more work; it is not noted any longer then.
    """

    def __init__(
        self,
        board: Board,
        rank: int,
        count: int,
        until: Callable[[], bool] = lambda: False,
        is_done: Callable[[int], bool] = lambda position: False,
    ) -> None:
        self._board = board
        self._rank = rank
        self._count = count
        self._until = until
        self._is_done = is_done
        self._held: list[int] = []

    def claim(self) -> int | None:
        """The next position, which is this process's alone; None when there is no more to do."""
        if self._until():
            return None
        position = self._board.add("next", 1) - 1
        if position >= self._count:
            return None
        self._held = [*(held for held in self._held if not self._is_done(held)), position]
        self._board.put(f"held/{self._rank}", " ".join(map(str, self._held)))
        return position

    def __iter__(self) -> Iterator[int]:
        """All positions that come to this process."""
        while (position := self.claim()) is not None:
            yield position


def held_by(board: Board, rank: int) -> list[int]:
    """The positions that a process has drawn last; some of them may be done."""
    return [int(text) for text in (board.read(f"held/{rank}") or "").split()]


def drawn(board: Board, count: int) -> int:
    """How many positions have been drawn so far."""
    return min(board.add("next", 0), count)
