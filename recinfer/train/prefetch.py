"""Runs an iterator in a thread of its own, a bounded number of items ahead."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
LOOK_EVERY_SECONDS = 0.1


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class _End:
    pass


class _Worker(Generic[T]):
    """Moves items into a bounded queue until the source ends, fails, or the consumer asks it to stop."""

    def __init__(self, source: Iterator[T], ahead: int) -> None:
        self.source = source
        self.stop = threading.Event()
        self.items: queue.Queue[T | _Failure | _End] = queue.Queue(ahead)

    def run(self) -> None:
        try:
            for item in self.source:
                if not self._put(item):
                    return
            self._put(_End())
        except BaseException as error:
            self._put(_Failure(error))
        finally:
            close = getattr(self.source, "close", None)
            if close is not None:
                close()

    def _put(self, item: T | _Failure | _End) -> bool:
        while not self.stop.is_set():
            try:
                self.items.put(item, timeout=LOOK_EVERY_SECONDS)
                return True
            except queue.Full:
                continue
        return False


def prefetch(source: Iterator[T], ahead: int, name: str) -> Iterator[T]:
    """The items of ``source``, made in a thread at most ``ahead`` items early.

    An error in the source is raised here, after the items before it. Closing the generator, or leaving it for any
    reason, stops the thread and waits for it.
    """
    worker = _Worker(source, ahead)
    thread = threading.Thread(target=worker.run, name=name, daemon=True)
    thread.start()
    try:
        while True:
            item = worker.items.get()
            if isinstance(item, _End):
                return
            if isinstance(item, _Failure):
                raise item.error
            yield item
    finally:
        worker.stop.set()
        thread.join()
