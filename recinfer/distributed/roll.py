"""Who takes part: each process says that it is there, what it is, how far it came, and how it ended."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass
from typing import Any

from recinfer import errors
from recinfer.data.storage.processes import machine_name
from recinfer.distributed.store import Board
from recinfer.errors import RankError, RecinferError


@dataclass(frozen=True)
class Whereabouts:
    """Where a process runs.

    Attributes:
        host: its name.
        space: tells whether process numbers of two processes mean the same.
        pid: its number there.
    """

    host: str
    space: str
    pid: int

    @property
    def text(self) -> str:
        """For messages."""
        return f"pid {self.pid} on {self.host}"


class Roll:
    """The processes of a job, as their store knows them.

    Args:
        board: shared by all.
        rank: of this process.
        size: how many there are.
    """

    def __init__(self, board: Board, rank: int, size: int) -> None:
        self.board = board
        self.rank = rank
        self.size = size

    def enter(self) -> None:
        """Says that this process has begun."""
        self._put("here", vars(whereabouts()))

    def where(self, rank: int) -> Whereabouts | None:
        """Where a process runs; None before it has entered."""
        value = self._read("here", rank)
        return None if value is None else Whereabouts(**value)

    def present(self, card: dict[str, Any]) -> None:
        """Shows what this process has loaded."""
        self._put("card", card)
        self.board.add("cards", 1)

    def card(self, rank: int) -> dict[str, Any] | None:
        """What a process has loaded; None before it has."""
        return self._read("card", rank)

    def beat(self) -> int:
        """Says that this process is still there."""
        return self.board.add(f"beat/{self.rank}", 1)

    def beats(self, rank: int) -> int:
        """How often a process has said so."""
        return self.board.add(f"beat/{rank}", 0)

    def fail(self, error: RecinferError) -> None:
        """Says that this process ends, and why."""
        value = {"kind": type(error).__name__, "message": error.message, "hint": error.hint}
        self._put("failed", value)
        if self.board.add("failing", 1) == 1:
            self.board.put("first", str(self.rank))
        self.board.put(f"ended/{self.rank}", "failed")
        self.board.add("failures", 1)

    @property
    def failures(self) -> int:
        """How many processes have failed."""
        return self.board.add("failures", 0)

    def failure(self) -> RecinferError | None:
        """What the process that failed first has said, as the same error; None where none has failed."""
        rank = self.board.read("first")
        value = self._read("failed", int(rank)) if rank is not None else None
        if value is None or rank is None:
            return None
        kind = getattr(errors, value["kind"], RankError)
        place = self.where(int(rank))
        return kind(f"rank {rank} ({place.text if place else 'unknown'}): {value['message']}", value["hint"])

    def leave(self, report: dict[str, Any]) -> None:
        """Says that this process has done its share, and what it did."""
        self._put("left", report)
        self.board.put(f"ended/{self.rank}", "left")

    def has_ended(self, rank: int) -> bool:
        """Whether a process has failed or left."""
        return self.board.read(f"ended/{rank}") is not None

    def report(self, rank: int) -> dict[str, Any] | None:
        """What a process that has left did; None for others."""
        return self._read("left", rank)

    def _put(self, what: str, value: dict[str, Any]) -> None:
        self.board.put(f"{what}/{self.rank}", json.dumps(value))

    def _read(self, what: str, rank: int) -> dict[str, Any] | None:
        text = self.board.read(f"{what}/{rank}")
        return None if text is None else dict(json.loads(text))


def whereabouts() -> Whereabouts:
    """Where this process runs."""
    return Whereabouts(socket.gethostname(), machine_name(), os.getpid())
