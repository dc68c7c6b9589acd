"""How a process of several is asked to end: by SIGTERM, or because another one has failed."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# torchrun kills processes half a minute after it has asked them to end.
DRAIN_SECONDS = 20.0


class Terminated(BaseException):
    """The process was asked to end while it had nothing in hand."""


class Ending:
    """What a process does when it is asked to end depends on what it is doing.

    While it prepares (:meth:`interrupts`) it stops at once; while it scores (:meth:`draining`) it finishes the units
    in hand and begins no more; everywhere else it looks at :meth:`check`.
    """

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._interrupts = False
        self._installed = False
        self._stop: Callable[[], None] | None = None
        self._timer: threading.Timer | None = None

    @property
    def asked(self) -> bool:
        """Whether this process should end."""
        return self._asked.is_set()

    def check(self) -> None:
        """Raises :class:`Terminated` once the process should end."""
        if self.asked:
            raise Terminated

    def ask(self) -> None:
        """Asks this process to end; from any thread."""
        if self.asked:
            return
        self._asked.set()
        if self._stop is not None:
            self._start_timer(self._stop)
        if self._interrupts and self._installed:
            _thread.interrupt_main(signal.SIGTERM)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listens to SIGTERM, where this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGTERM, self._on_signal)
        self._installed = True
        try:
            yield
        finally:
            self._installed = False
            signal.signal(signal.SIGTERM, before)

    @contextmanager
    def interrupts(self) -> Iterator[None]:
        """Inside, being asked raises :class:`Terminated` in the main thread."""
        self.check()
        self._interrupts = True
        try:
            yield
        finally:
            self._interrupts = False

    @contextmanager
    def draining(self, stop: Callable[[], None]) -> Iterator[None]:
        """Inside, being asked leaves some seconds for what is in hand; then ``stop`` is called."""
        self._stop = stop
        if self.asked:
            self._start_timer(stop)
        try:
            yield
        finally:
            self._stop = None
            if self._timer is not None:
                self._timer.cancel()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        first = self._interrupts
        self._interrupts = False
        self.ask()
        if first:
            raise Terminated

    def _start_timer(self, stop: Callable[[], None]) -> None:
        self._timer = threading.Timer(DRAIN_SECONDS, stop)
        self._timer.daemon = True
        self._timer.start()
