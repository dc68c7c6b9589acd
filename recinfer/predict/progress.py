"""How far a run is, and which stage limits it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)


@dataclass
class StageClock:
    """Time that the threads of one stage spent working and waiting.

    Attributes:
        name: of the stage.
        threads: how many it has.
        busy: seconds of work, summed over its threads.
        doing: what each thread does now, by thread name.
    """

    name: str
    threads: int
    busy: float = 0.0
    doing: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def work(self, what: str) -> Iterator[None]:
        """Counts the time inside as work."""
        thread = threading.current_thread().name
        self.doing[thread] = what
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            with self._lock:
                self.busy += spent
            self.doing[thread] = "waiting"


@dataclass
class Snapshot:
    """One look at a run.

    Attributes:
        rows, total_rows: scored in this run, and to score in it.
        seconds: since the start.
        stage: the one that limits.
        units, total_units: published, and all of this run.
    """

    rows: int
    total_rows: int
    seconds: float
    stage: str
    units: int
    total_units: int

    @property
    def rows_per_second(self) -> float:
        """Mean rate so far."""
        return self.rows / self.seconds if self.seconds > 0 else 0.0

    @property
    def eta_seconds(self) -> float | None:
        """Seconds left at the mean rate; None before the first row."""
        return (self.total_rows - self.rows) / self.rows_per_second if self.rows else None


class Progress:
    """Counts of a run, shared by its stages.

    Args:
        total_rows: to score.
        total_units: to publish.
        stages: threads per stage, by name, in order.
    """

    def __init__(self, total_rows: int, total_units: int, stages: dict[str, int]) -> None:
        self.total_rows = total_rows
        self.total_units = total_units
        self.clocks = {name: StageClock(name, threads) for name, threads in stages.items()}
        self.rows = 0
        self.not_finite = 0
        self.units = 0
        self.first_batch_seconds: float | None = None
        self.last_change = self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.perf_counter() - self._start

    def add_rows(self, rows: int, not_finite: int = 0, place: str = "") -> None:
        """Counts rows as scored and handed to the writer; called by one thread.

        Args:
            not_finite: of these, rows with a prediction that is no number.
            place: where they come from; the first such place is warned of.
        """
        if not_finite and not self.not_finite:
            logger.warning("scores that are NaN or infinite, the first in %s: %d of these", place, not_finite)
        self.not_finite += not_finite
        if self.first_batch_seconds is None:
            self.first_batch_seconds = self.seconds
        self.rows += rows
        self.last_change = time.perf_counter()

    def add_unit(self) -> None:
        """Counts a unit as published; called by one thread."""
        self.units += 1
        self.last_change = time.perf_counter()

    def snapshot(self) -> Snapshot:
        """The counts now."""
        busiest = max(self.clocks.values(), key=lambda clock: clock.busy / clock.threads)
        return Snapshot(self.rows, self.total_rows, self.seconds, busiest.name, self.units, self.total_units)

    def stalled_seconds(self) -> float:
        """Since the last row or unit."""
        return time.perf_counter() - self.last_change

    def describe(self) -> str:
        """What every stage is doing, one line each."""
        lines = []
        for clock in self.clocks.values():
            doing = ", ".join(f"{thread}: {what}" for thread, what in sorted(clock.doing.items())) or "not started"
            lines.append(f"{clock.name}: {doing}")
        return "\n".join(lines)
