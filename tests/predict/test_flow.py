"""Lanes and the bound on bytes in flight: they end, and they never outwait the stop flag."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from recinfer.predict.flow import InFlight, Lane
from recinfer.predict.stop import StopFlag, Stopped


def test_a_lane_ends_after_its_last_producer() -> None:
    lane = Lane[int](StopFlag(), producers=2)
    lane.put(1)
    lane.close()
    lane.put(2)
    lane.close()
    assert [lane.get(), lane.get(), lane.get()] == [1, 2, None]


def test_waiting_ends_with_the_stop_flag() -> None:
    stop = StopFlag()
    lane = Lane[int](stop, producers=1)
    in_flight = InFlight(10, stop)
    in_flight.take(50)
    ended: list[str] = []

    def wait(name: str, body: Callable[[], Any]) -> None:
        try:
            body()
        except Stopped:
            ended.append(name)

    threads = [
        threading.Thread(target=wait, args=("lane", lane.get)),
        threading.Thread(target=wait, args=("room", lambda: in_flight.take(1))),
    ]
    for thread in threads:
        thread.start()
    stop.fail("score", RuntimeError("first"), "here")
    stop.fail("write", RuntimeError("second"), "there")
    for thread in threads:
        thread.join(60)
    assert sorted(ended) == ["lane", "room"]
    assert stop.failure is not None and stop.failure.stage == "score" and stop.failure.place == "here"
    with pytest.raises(Stopped):
        lane.put(3)
