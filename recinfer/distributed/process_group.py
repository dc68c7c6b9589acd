"""The process group that torchrec needs, also for one process without ``torchrun``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed as dist

from recinfer.env import Environment
from recinfer.errors import UsageError


@contextmanager
def process_group(environment: Environment) -> Iterator[dist.ProcessGroup]:
    """Yields the default group; one that is already there is used and left alone.

    A single process meets itself through an in-memory store, so no port is opened and no address looked up.

    Raises:
        UsageError: several processes were started; training runs in one.
    """
    if environment.world_size > 1:
        raise UsageError(
            f"training runs in one process, but WORLD_SIZE is {environment.world_size}",
            "start it without torchrun",
        )
    owner = not dist.is_initialized()
    if owner:
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    elif dist.get_world_size() > 1:
        raise UsageError(
            f"training runs in one process, but the process group has {dist.get_world_size()}",
            "leave the process group before training",
        )
    try:
        group = dist.group.WORLD
        assert group is not None
        yield group
    finally:
        if owner:
            dist.destroy_process_group()
