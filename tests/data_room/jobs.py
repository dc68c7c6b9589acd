"""Copy jobs in processes of their own, which kill themselves at a chosen step or are killed from outside."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from recinfer.data import swap
from recinfer.data.table_copy import copy_table

# Everything that changes a folder goes through one of these.
STEPS = ("replace", "rename", "unlink", "rmdir", "mkdir", "fsync")

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.data_room.jobs"])


def copy_job(
    source: str, output: str, options: dict[str, Any], kill_at: int | None, exchange: bool, steps: Any
) -> None:
    """Runs ``copy_table``; dies by SIGKILL right before step ``kill_at`` (from 0)."""
    if not exchange:
        swap.exchange = lambda first, second: False

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **named: Any) -> Any:
            if steps.value == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            steps.value += 1
            return function(*args, **named)

        return step

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))
    swap.exchange = counted(swap.exchange)
    copy_table(source, output, **options)


def start(
    source: Path,
    output: Path,
    options: dict[str, Any],
    kill_at: int | None = None,
    exchange: bool = True,
    steps: Any = None,
) -> ForkServerProcess:
    """Starts a copy job."""
    counter = CONTEXT.Value("q", 0) if steps is None else steps
    process = CONTEXT.Process(target=copy_job, args=(str(source), str(output), options, kill_at, exchange, counter))
    # The child opens the counter by name, so it has to live as long as the child.
    process.counter = counter
    process.start()
    return process


def count_steps(source: Path, output: Path, options: dict[str, Any], exchange: bool = True) -> int:
    """Steps that a whole run takes."""
    steps = CONTEXT.Value("q", 0)
    process = start(source, output, options, exchange=exchange, steps=steps)
    process.join()
    assert process.exitcode == 0
    return int(steps.value)
