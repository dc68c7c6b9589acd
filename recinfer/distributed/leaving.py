"""How a process ends when it may be in the middle of something that waits for processes which will not come."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from recinfer.errors import RecinferError


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """Where what is inside fails, the interpreter's end skips everything that could wait.

    A thread that is inside a collective cannot be stopped, and the process group's own end waits for it.
    """
    try:
        yield
    except BaseException as error:
        atexit.register(_leave, error.exit_code if isinstance(error, RecinferError) else 1)
        raise


def _leave(exit_code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)
