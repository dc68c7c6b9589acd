"""The key-value store in which processes meet: that of ``torchrun``, or one that rank 0 serves."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Protocol

import torch.distributed as dist

from recinfer.env import Environment
from recinfer.errors import RankError, UsageError

CONNECT_SECONDS = 30.0
GRACE_SECONDS = 10.0


class Store(Protocol):
    """What is used of a ``torch.distributed`` store; calls from several threads are safe."""

    def add(self, key: str, amount: int, /) -> int:
        """Adds to a counter, which begins at 0, and returns its new value, in one step."""

    def set(self, key: str, value: str, /) -> None:
        """Writes a value."""

    def get(self, key: str, /) -> bytes:
        """Reads a value; waits where there is none."""

    def check(self, keys: list[str], /) -> bool:
        """Whether all keys have been written."""


class StoreLostError(RankError):
    """The store does not answer any more."""


class Board:
    """A store that never waits for a key, and whose failures are messages.

    Args:
        store: what carries it.
        address: of the store, for messages.
        served_here: whether it ends with this process.
    """

    def __init__(self, store: Store, address: str = "memory", served_here: bool = False) -> None:
        self.served_here = served_here
        self._store = store
        self._address = address

    def add(self, key: str, amount: int) -> int:
        """Adds to a counter and returns its new value; ``add(key, 0)`` reads it."""
        try:
            return int(self._store.add(key, amount))
        except RuntimeError as error:
            raise self._lost(error) from error

    def put(self, key: str, value: str) -> None:
        """Writes a value."""
        try:
            self._store.set(key, value)
        except RuntimeError as error:
            raise self._lost(error) from error

    def read(self, key: str) -> str | None:
        """Reads a value; None where there is none."""
        try:
            return self._store.get(key).decode() if self._store.check([key]) else None
        except RuntimeError as error:
            raise self._lost(error) from error

    def store(self, name: str) -> dist.Store:
        """A store of its own for torch, with keys under a name.

        It has its own connection: torch waits for keys, and others that use this one would have to wait too.
        """
        assert isinstance(self._store, dist.Store)
        return dist.PrefixStore(name, self._store.clone())  # type: ignore[attr-defined]

    def _lost(self, error: RuntimeError) -> StoreLostError:
        return StoreLostError(
            f"the processes' store at {self._address} does not answer any more: {_first_line(error)}",
            "torchrun on the first machine, or rank 0, has ended: the same command goes on from here",
        )


def open_board(environment: Environment, seconds: float = CONNECT_SECONDS) -> Board:
    """Meets the other processes.

    Args:
        seconds: after which a store that does not answer is given up.

    Raises:
        UsageError: the environment does not say where to meet, or holds impossible ranks.
        RankError: the port is in use, or nobody answers there.
    """
    host, port = environment.master_addr, environment.master_port
    if host is None or port is None:
        raise UsageError(
            f"WORLD_SIZE is {environment.world_size}, but MASTER_ADDR and MASTER_PORT do not say where to meet",
            "start the processes with torchrun",
        )
    if environment.rank >= environment.world_size or port > 65535:
        raise UsageError(
            f"RANK={environment.rank}, WORLD_SIZE={environment.world_size}, MASTER_PORT={port} do not go together",
            "start the processes with torchrun",
        )
    serve = environment.rank == 0 and not environment.agent_store
    try:
        store = _connect(host, port, serve, seconds)
    except (RuntimeError, ValueError) as error:
        raise _refused(f"{host}:{port}", environment.rank, serve, error) from error
    # Processes that were started anew must not read what their predecessors have written.
    return Board(dist.PrefixStore(f"recinfer/{environment.restart_count}", store), f"{host}:{port}", serve)


def _connect(host: str, port: int, serve: bool, seconds: float) -> dist.TCPStore:
    """Opens the store, in a thread: torch waits for ever where another program takes the call and says nothing."""
    found: list[dist.TCPStore] = []
    failed: list[Exception] = []

    def connect() -> None:
        try:
            patience = timedelta(seconds=seconds)
            found.append(dist.TCPStore(host, port, is_master=serve, timeout=patience, wait_for_workers=False))
        except (RuntimeError, ValueError) as error:
            failed.append(error)

    thread = threading.Thread(target=connect, name="connect", daemon=True)
    thread.start()
    thread.join(seconds + GRACE_SECONDS)
    if found:
        return found[0]
    raise failed[0] if failed else RuntimeError("whoever listens there is no store, and does not answer")


def _refused(address: str, rank: int, serve: bool, error: Exception) -> RankError:
    if serve and "EADDRINUSE" in str(error).replace("address already in use", "EADDRINUSE"):
        return RankError(f"{address} is in use by another program", "set MASTER_PORT to a free port, on all machines")
    if serve:
        return RankError(f"cannot serve the processes' store at {address}: {_first_line(error)}", "check MASTER_ADDR")
    return RankError(
        f"rank {rank} does not reach the processes' store at {address}: {_first_line(error)}",
        "check that the first machine runs, and that MASTER_ADDR and MASTER_PORT are the same everywhere",
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
