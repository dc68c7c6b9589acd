"""What every command does that several processes of ``torchrun`` run as one job."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from recinfer.env import Environment, hush_native_warnings, outlive_collectives
from recinfer.errors import RankError

if TYPE_CHECKING:
    import torch

    from recinfer.data.readers.base import Reader
    from recinfer.distributed.store import Board
    from recinfer.predict.rank_session import Session

T = TypeVar("T")


@contextmanager
def joined(environment: Environment, what: str) -> Iterator[tuple[Session, Board]]:
    """Takes part in a job from the first word to the last; a failure anywhere becomes one message, of rank 0.

    Args:
        what: ``Training`` or the like, for messages about lost ranks.

    Raises:
        RecinferError: on rank 0, what went wrong on whichever rank.
        ToldByOtherRankError: elsewhere.
    """
    hush_native_warnings()
    from recinfer.distributed.leaving import leaving_at_once
    from recinfer.distributed.store import open_board
    from recinfer.predict.rank_session import open_session

    board = open_board(environment)
    with leaving_at_once(), open_session(board, environment.rank, environment.world_size) as session:
        session.doing = what
        with session.ending.interrupts():
            yield session, board
        if session.leads:
            lost = session.wait_for_others()
            if session.roll.failures:
                raise session.why()
            if lost:
                raise session.lost(lost)
            session.close("done")
        else:
            session.roll.leave({})
            session.wait_for_end()


def in_step(session: Session, compare: Mapping[str, str], work: Callable[[], T]) -> T:
    """Does something together, once all processes have shown that they are about to do the same.

    Args:
        compare: what must be equal, by what it is called in messages.

    Raises:
        RankError: on rank 0, they differ.
    """
    from recinfer.predict.rank_cards import bare_card
    from recinfer.predict.rank_gathering import gather, wait_for_word
    from recinfer.predict.sharded_lookout import attend

    outlive_collectives()
    gather(session, bare_card(compare))
    if session.leads:
        session.board.put("alike", "yes")
    else:
        wait_for_word(session, "alike")
    return attend(session, work)


def own_device(environment: Environment, name: str | None = None) -> torch.device:
    """Where this process keeps its part of a model.

    Args:
        name: ``cpu``, ``cuda`` or ``cuda:n``; None for a GPU of its own where the machine has any, else the CPU.

    Raises:
        RankError: there are fewer GPUs than processes.
        UsageError, ModelError: the device is unknown, or not here.
    """
    import torch

    from recinfer.predict.device import device_of

    if name is not None:
        return device_of(name)
    if not torch.cuda.is_available():
        return torch.device("cpu")
    count = torch.cuda.device_count()
    if environment.local_rank >= count:
        raise RankError(
            f"rank {environment.rank} has no GPU of its own: this machine has {count}, "
            f"and {environment.local_world_size} processes were started on it",
            f"use --nproc-per-node={count}, or --device cpu",
        )
    return torch.device("cuda", environment.local_rank)


def config_hash(config: Any) -> str:
    """SHA-256 of a config message."""
    return hashlib.sha256(str(config).encode()).hexdigest()


def input_hash(reader: Reader | None) -> str:
    """SHA-256 of what a reader's files are called, and how large they are."""
    names = [] if reader is None else [f"{file.path} {file.size}" for file in reader.files]
    return hashlib.sha256("\n".join(names).encode()).hexdigest()
