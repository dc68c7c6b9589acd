"""Ctrl-C that a library swallows ends the work all the same."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from recinfer.interrupts import check, noticing


def press(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    # The handler runs between two steps of Python.
    for _ in range(1000):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_swallowed_is_raised_again(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with noticing(signal.SIGINT, signal.SIGTERM) as stopped:
        check()
        with pytest.raises(KeyboardInterrupt):
            press(number)
        assert stopped.is_set()
        with pytest.raises(KeyboardInterrupt):
            check()
    assert signal.getsignal(number) is before
    check()


def test_a_thread_leaves_signals_alone() -> None:
    handlers = []

    def work() -> None:
        with noticing(signal.SIGINT):
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGINT)]
