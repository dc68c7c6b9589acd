"""The process group that torchrec needs: of torchrun's processes, or of one process alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

from recinfer.distributed.store import Board
from recinfer.env import Environment
from recinfer.errors import RankError, UsageError

# All ranks must be there within this time,
MEET_SECONDS = 45.0
# and from then on may wait for each other so long: one of them may read a large checkpoint.
WAIT_SECONDS = 3600.0


@contextmanager
def process_group(
    environment: Environment, board: Board | None = None, device: torch.device | None = None
) -> Iterator[dist.ProcessGroup]:
    """Yields the default group: gloo on CPU, NCCL on GPUs. One that is already there is used and left alone.

    A single process meets itself through an in-memory store, so no port is opened and no address looked up.

    Args:
        environment: ranks.
        board: of the processes; needed where there are several.
        device: where tensors are; CPU by default.

    Raises:
        UsageError: there is another group already, of another size.
        RankError: the processes cannot be connected.
    """
    owner = not dist.is_initialized()
    if owner:
        _init(environment, board, device or torch.device("cpu"))
    elif dist.get_world_size() != environment.world_size:
        raise UsageError(
            f"the process group has {dist.get_world_size()} ranks, but WORLD_SIZE is {environment.world_size}",
            "leave the process group first, or start all processes with torchrun",
        )
    try:
        group = dist.group.WORLD
        assert group is not None
        yield group
    finally:
        # Also ends the waiting of ranks that are in the middle of a collective, where this one has failed.
        if owner and dist.is_initialized():
            dist.destroy_process_group()


def _init(environment: Environment, board: Board | None, device: torch.device) -> None:
    if environment.world_size == 1:
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
        return
    assert board is not None
    backend = "nccl" if device.type == "cuda" else "gloo"
    try:
        if device.type == "cuda":
            # Collectives of objects go through the thread's current GPU, whatever the group's is.
            torch.cuda.set_device(device)
        dist.init_process_group(
            backend,
            store=board.store("group"),
            rank=environment.rank,
            world_size=environment.world_size,
            timeout=timedelta(seconds=MEET_SECONDS),
            device_id=device if device.type == "cuda" else None,
        )
        # Connections are made when they are first needed; here it can still be said what is wrong.
        dist.all_reduce(torch.zeros(1, device=device))
    except (RuntimeError, ValueError) as error:
        raise RankError(
            f"rank {environment.rank} cannot be connected with the others through {backend}: "
            f"{(str(error).splitlines() or [type(error).__name__])[0]}",
            _hint(backend),
        ) from error
    dist.distributed_c10d._set_pg_timeout(timedelta(seconds=WAIT_SECONDS), dist.group.WORLD)


def _hint(backend: str) -> str:
    if backend == "nccl":
        return "give each process a GPU of its own; NCCL_DEBUG=INFO says more, NCCL_SOCKET_IFNAME names the network"
    return "check that this machine's own name resolves, or name the network to use: GLOO_SOCKET_IFNAME"
