"""Every unit comes to exactly one process, in threads, in simulated thousands, and when some die."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import pytest
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.claim_simulation import MemoryStore, World, simulate
from recinfer.distributed.store import Board
from recinfer.distributed.unit_claims import UnitClaims, drawn, held_by


def test_threads_draw_each_position_once() -> None:
    # torch's own store in memory, which locks as its others do.
    store, found = dist.HashStore(), [[] for _ in range(8)]

    def draw(rank: int) -> None:
        found[rank].extend(UnitClaims(Board(store), rank, 2000))

    threads = [threading.Thread(target=draw, args=(rank,)) for rank in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(position for each in found for position in each) == list(range(2000))
    assert all(each == sorted(each) for each in found)


@given(st.lists(st.integers(0, 4), max_size=60), st.integers(0, 20))
def test_any_order_of_draws(order: list[int], count: int) -> None:
    board = Board(MemoryStore())
    claims = [UnitClaims(board, rank, count) for rank in range(5)]
    got = [claims[rank].claim() for rank in order]
    expected = [*range(min(count, len(order))), *[None] * max(len(order) - count, 0)]
    assert got == expected
    assert drawn(board, count) == min(count, len(order))


def test_notes_what_is_held_until_it_is_done() -> None:
    board, done = Board(MemoryStore()), set[int]()
    claims = UnitClaims(board, 3, 10, is_done=done.__contains__)
    assert held_by(board, 3) == []
    assert [claims.claim(), claims.claim()] == [0, 1]
    assert held_by(board, 3) == [0, 1]
    done.add(0)
    assert claims.claim() == 2
    assert held_by(board, 3) == [1, 2]


def test_ends_when_asked_to() -> None:
    asked: list[bool] = []
    board = Board(MemoryStore())
    claims = UnitClaims(board, 0, 10, until=lambda: bool(asked))
    assert claims.claim() == 0
    asked.append(True)
    assert claims.claim() is None
    # What was not drawn is left for others.
    assert UnitClaims(board, 1, 10).claim() == 1


@pytest.mark.parametrize(("ranks", "units"), [(1, 50), (7, 1000), (100, 30), (200, 5000)])
def test_simulated_jobs_score_each_unit_once(ranks: int, units: int) -> None:
    found = simulate(World(ranks, units, seed=ranks))
    assert (found.owners == 1).all() and (found.scored == 1).all()
    # A draw is a step and a note; the last one of each rank is a step alone.
    assert found.operations == 2 * units + ranks


def test_simulated_ranks_that_die_take_one_unit_each_with_them() -> None:
    found = simulate(World(50, 2000, lost=3, seed=1))
    assert (found.owners == 1).all()
    assert len(found.lost_units) == 3
    assert Counter(found.scored.tolist()) == {1: 1997, 0: 3}
    assert sorted(found.lost_units) == np.flatnonzero(found.scored == 0).tolist()


def test_simulated_time_is_that_of_equal_units() -> None:
    # Ten ranks, a hundred units of one second, a store that takes no time: ten seconds, and nobody idles.
    found = simulate(World(10, 100, 1.0, spread=0.0, slow_share=0.0, operation_seconds=0.0))
    assert found.seconds == pytest.approx(10.0)
    assert found.tail_idle == pytest.approx((0.0, 0.0))
    # Eleven units: one rank works for two seconds, the others idle for one.
    found = simulate(World(10, 11, 1.0, spread=0.0, slow_share=0.0, operation_seconds=0.0))
    assert found.seconds == pytest.approx(2.0)
    assert found.tail_idle == pytest.approx((0.9, 1.0))
    # A store that needs a second for a step serves ten ranks' first draws (two steps each) one after the other.
    found = simulate(World(2, 2, 1.0, spread=0.0, slow_share=0.0, operation_seconds=1e-3))
    assert found.claim_wait[1] == pytest.approx(4e-3, rel=0.02)
