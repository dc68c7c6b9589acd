"""Who is gone: by their process on the same machine, by their silence on others."""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks.claim_simulation import MemoryStore
from recinfer.distributed.presence import FIRST_SECONDS, Presence, is_alive
from recinfer.distributed.roll import Roll, whereabouts
from recinfer.distributed.store import Board
from recinfer.errors import BadRowError


class World:
    """Three ranks: this one, one on the same machine, one elsewhere."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.now = 0.0
        self.dead: set[int] = set()
        self.rolls = [Roll(Board(self.store), rank, 3) for rank in range(3)]
        self.rolls[0].enter()
        here = vars(whereabouts())
        self.store.set("here/1", json.dumps({**here, "pid": 77}))
        self.presence = Presence(self.rolls[0], lambda: self.now, lambda pid: pid not in self.dead)

    def elsewhere(self) -> None:
        self.store.set("here/2", json.dumps({"host": "far", "space": "far", "pid": 77}))


def test_a_process_of_this_machine_is_gone_at_once() -> None:
    world = World()
    assert world.presence.gone([1]) == []
    world.dead.add(77)
    assert world.presence.gone([1]) == [1]


def test_another_machines_process_is_gone_when_it_is_silent() -> None:
    world = World()
    world.elsewhere()
    world.dead.add(77)
    assert world.presence.gone([2], 30.0) == []
    world.now = 29.0
    world.rolls[2].beat()
    assert world.presence.gone([2], 30.0) == []
    world.now = 58.0
    assert world.presence.gone([2], 30.0) == []
    world.now = 60.0
    assert world.presence.gone([0, 2], 30.0) == [2]


def test_one_that_never_came_has_more_time() -> None:
    world = World()
    assert world.presence.gone([2], 30.0) == []
    world.now = FIRST_SECONDS
    assert world.presence.gone([2], 30.0) == []
    world.now = FIRST_SECONDS + 1
    assert world.presence.gone([2], 30.0) == [2]


def test_real_processes() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert is_alive(process.pid)
    process.kill()
    # Until its parent looks it has a number, but it is dead.
    while process.returncode is None and is_alive(process.pid):
        pass
    assert not is_alive(process.pid)
    process.wait()
    process.stdin.close()  # type: ignore[union-attr]
    assert not is_alive(process.pid)


def test_the_first_failure_is_told_as_the_same_error() -> None:
    world = World()
    assert world.rolls[0].failure() is None
    world.rolls[1].fail(BadRowError("column 'x' holds 'y'", "mend it"))
    world.rolls[2].fail(BadRowError("later"))
    told = world.rolls[0].failure()
    assert isinstance(told, BadRowError)
    host = whereabouts().host
    assert (told.message, told.hint) == (f"rank 1 (pid 77 on {host}): column 'x' holds 'y'", "mend it")
    assert [world.rolls[0].has_ended(rank) for rank in range(3)] == [False, True, True]
