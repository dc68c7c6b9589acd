"""Meeting: what the environment must say, and what happens where nobody answers."""

from __future__ import annotations

import socket

import pytest

from recinfer.distributed.store import open_board
from recinfer.env import Environment
from recinfer.errors import RankError, UsageError


def environment(port: int | None, rank: int = 0, **changes: object) -> Environment:
    values = {"world_size": 2, "rank": rank, "master_addr": "127.0.0.1", "master_port": port, **changes}
    return Environment(**values)  # type: ignore[arg-type]


@pytest.fixture
def mute() -> socket.socket:
    """Another program's socket, which takes calls and says nothing."""
    found = socket.socket()
    found.bind(("127.0.0.1", 0))
    found.listen()
    yield found
    found.close()


def test_processes_meet_and_count_together() -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    first = open_board(environment(port), 5.0)
    second = open_board(environment(port, 1), 5.0)
    assert (first.add("next", 1), second.add("next", 2), first.add("next", 0)) == (1, 3, 3)
    assert first.read("word") is None
    second.put("word", "Füße")
    assert first.read("word") == "Füße"
    # Processes that torchrun starts anew begin with nothing.
    assert open_board(environment(port, 1, restart_count=1), 5.0).add("next", 0) == 0


def test_a_port_in_use_is_said_at_once(mute: socket.socket) -> None:
    port = mute.getsockname()[1]
    with pytest.raises(RankError, match=f"127.0.0.1:{port} is in use by another program"):
        open_board(environment(port), 5.0)


def test_whoever_does_not_answer_is_given_up(mute: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    from recinfer.distributed import store

    monkeypatch.setattr(store, "GRACE_SECONDS", 0.2)
    with pytest.raises(RankError, match=r"rank 1 does not reach .* does not answer"):
        open_board(environment(mute.getsockname()[1], 1), 0.3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"master_addr": None}, "do not say where to meet"), ({"rank": 2}, "do not go together")],
)
def test_an_environment_that_says_nothing(changes: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        open_board(environment(29999, **changes), 1.0)  # type: ignore[arg-type]
