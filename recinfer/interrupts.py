"""Ctrl-C is not forgotten where a library swallows it.

Python tells of it by an exception, wherever the main thread happens to be: inside an import that tries and goes on
without, or a loader that makes an error of its own out of every exception. So it is also noted, and long work looks at
:func:`check` where it can end.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Signals belong to the process, and so does this.
_asked = threading.Event()


@contextmanager
def noticing(*signals: signal.Signals) -> Iterator[threading.Event]:
    """Inside, these signals raise KeyboardInterrupt in the main thread, and are noted; elsewhere nothing changes.

    Args:
        signals: SIGINT and whatever else shall stop the work in the same way.

    Yields:
        What is set once one has come.
    """
    _asked.clear()
    if threading.current_thread() is not threading.main_thread():
        yield _asked
        return
    before = {each: signal.signal(each, _notice) for each in signals}
    try:
        yield _asked
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        _asked.clear()


def check() -> None:
    """Raises KeyboardInterrupt where one came and was swallowed."""
    if _asked.is_set():
        raise KeyboardInterrupt


def _notice(number: int, frame: FrameType | None) -> None:
    _asked.set()
    raise KeyboardInterrupt
