"""What a prediction run did."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class PredictSummary:
    """What a run did.

    Attributes:
        rows_in, rows_out, quarantined: of the whole output: ``rows_in == rows_out + quarantined``.
        rows_scored: in this run; fewer than ``rows_in`` after a resume.
        rows_not_finite: of those, rows with a prediction that is NaN or infinite.
        parts: part files of the output.
        seconds: of scoring; ``rows_per_second`` is ``rows_scored`` over it.
        start_seconds: from the call to the first row read: loading, planning, measuring.
        first_batch_seconds: from the start of reading to the first batch written; None where nothing was to do.
        stages: per stage ``threads``, ``busy_seconds`` and ``busy`` (share of its threads' time).
        chunk: rows and steps of a scoring chunk.
        threads: scorer threads.
        peak_memory_bytes: largest resident size of the process.
        peak_in_flight_bytes: largest size of all batches between reader and writer.
        already_complete: there was nothing to do.
        output: the folder.
        ranks: processes that scored; threads, stages, rows in flight and memory are their sums.
        by_rank: what each of several did: ``rank``, ``host``, ``units``, ``rows_scored``, ``seconds``,
            ``peak_memory_bytes``.
    """

    rows_in: int
    rows_out: int
    quarantined: int
    rows_scored: int
    parts: int
    seconds: float
    start_seconds: float
    first_batch_seconds: float | None
    chunk: dict[str, Any]
    threads: int
    peak_memory_bytes: int
    peak_in_flight_bytes: int
    already_complete: bool
    output: str
    rows_not_finite: int = 0
    stages: dict[str, dict[str, float]] = field(default_factory=dict)
    ranks: int = 1
    by_rank: list[dict[str, Any]] = field(default_factory=list)

    @property
    def rows_per_second(self) -> float:
        """Mean rate of this run."""
        return self.rows_scored / self.seconds if self.seconds > 0 else 0.0

    def to_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {**asdict(self), "rows_per_second": self.rows_per_second}
