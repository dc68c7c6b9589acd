"""Simulates how a thousand ranks share a million units: the protocol is the real one, time and store are made up.

Every rank runs :class:`recinfer.distributed.unit_claims.UnitClaims` against one store in memory. The store serves one
operation after the other, each in a fixed time, as a real one with a single thread does; a rank that draws waits for
its turn. The heartbeats' operations take their share of the store's time.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from recinfer.distributed.heartbeat import BEAT_SECONDS
from recinfer.distributed.store import Board
from recinfer.distributed.unit_claims import UnitClaims

OPERATIONS_PER_BEAT = 3


class MemoryStore:
    """Keys and counters in memory; counts operations."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.operations = 0

    def add(self, key: str, amount: int) -> int:
        """Adds to a counter."""
        self.operations += 1
        value = int(self.values.get(key, "0")) + amount
        self.values[key] = str(value)
        return value

    def set(self, key: str, value: str) -> None:
        """Writes a value."""
        self.operations += 1
        self.values[key] = value

    def get(self, key: str) -> bytes:
        """Reads a value."""
        self.operations += 1
        return self.values[key].encode()

    def check(self, keys: list[str]) -> bool:
        """Whether all keys are there."""
        self.operations += 1
        return all(key in self.values for key in keys)


@dataclass(frozen=True)
class World:
    """What is simulated.

    Attributes:
        ranks, units: how many.
        unit_seconds: mean time of a unit on a usual rank.
        spread: standard deviation of the logarithm of a unit's time.
        slow_share, slow_factor: so many ranks need so many times as long.
        operation_seconds: of the store, for one operation.
        lost: ranks that die at their second unit.
    """

    ranks: int = 1000
    units: int = 1_000_000
    unit_seconds: float = 2.6
    spread: float = 0.3
    slow_share: float = 0.05
    slow_factor: float = 2.0
    operation_seconds: float = 20e-6
    lost: int = 0
    seed: int = 0


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        owners: how often each unit was drawn, [units].
        scored: how often each was finished, [units].
        seconds: until the last rank was done.
        operations: of claims.
        operations_per_second: of claims and heartbeats, mean; ``peak`` in the busiest second.
        claim_wait: seconds from a draw to its answer: mean and most.
        tail_idle: seconds between a rank's last unit and the end of the job: mean and most.
        efficiency: time spent on units over the time of all ranks that lived.
        store_busy: share of the store's time.
    """

    owners: np.ndarray
    scored: np.ndarray
    seconds: float
    operations: int
    operations_per_second: float
    peak: float
    claim_wait: tuple[float, float]
    tail_idle: tuple[float, float]
    efficiency: float
    store_busy: float
    lost_units: list[int] = field(default_factory=list)


def simulate(world: World) -> Outcome:
    """Runs a job to its end."""
    rng = np.random.default_rng(world.seed)
    store = MemoryStore()
    board = Board(store)
    claims = [UnitClaims(board, rank, world.units, is_done=lambda position: True) for rank in range(world.ranks)]
    slow = rng.random(world.ranks) < world.slow_share
    factors = np.where(slow, world.slow_factor, 1.0) * world.unit_seconds
    noise = np.exp(rng.normal(-(world.spread**2) / 2, world.spread, world.units))
    beats = OPERATIONS_PER_BEAT * world.ranks / BEAT_SECONDS
    # What the heartbeats leave of the store's time.
    operation = world.operation_seconds / max(1.0 - beats * world.operation_seconds, 1e-3)
    owners, scored = np.zeros(world.units, np.int64), np.zeros(world.units, np.int64)
    ends, busy = np.zeros(world.ranks), np.zeros(world.ranks)
    waits: list[float] = []
    by_second: Counter[int] = Counter()
    lost_units: list[int] = []
    free = 0.0
    queue = [(0.0, rank) for rank in range(world.ranks)]
    drawn = np.zeros(world.ranks, np.int64)
    while queue:
        now, rank = heapq.heappop(queue)
        before = store.operations
        position = claims[rank].claim()
        free = max(free, now) + operation * (store.operations - before)
        by_second[int(free)] += store.operations - before
        waits.append(free - now)
        if position is None:
            ends[rank] = now
            continue
        owners[position] += 1
        drawn[rank] += 1
        if rank < world.lost and drawn[rank] == 2:
            lost_units.append(position)
            ends[rank] = np.nan
            continue
        scored[position] += 1
        spent = float(factors[rank] * noise[position])
        busy[rank] += spent
        heapq.heappush(queue, (free + spent, rank))
    seconds = float(np.nanmax(ends))
    living = ~np.isnan(ends)
    idle = seconds - ends[living]
    return Outcome(
        owners=owners,
        scored=scored,
        seconds=seconds,
        operations=store.operations,
        operations_per_second=store.operations / seconds + beats,
        peak=max(by_second.values()) + beats,
        claim_wait=(float(np.mean(waits)), float(np.max(waits))),
        tail_idle=(float(idle.mean()), float(idle.max())),
        efficiency=float(busy[living].sum() / (seconds * living.sum())),
        store_busy=float((store.operations / seconds + beats) * world.operation_seconds),
        lost_units=lost_units,
    )
