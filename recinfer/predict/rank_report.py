"""What each process did, and the totals over all of them."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from recinfer.predict.stages import Work
from recinfer.predict.summary import PredictSummary

Report = dict[str, Any]


def report_of(summary: PredictSummary, work: Work) -> Report:
    """A process's own figures, as it sends them to rank 0."""
    return {
        "host": socket.gethostname(),
        "units": work.progress.units,
        "rows_scored": work.progress.rows,
        "rows_not_finite": work.progress.not_finite,
        "seconds": work.progress.seconds,
        "threads": summary.threads,
        "peak_memory_bytes": summary.peak_memory_bytes,
        "peak_in_flight_bytes": summary.peak_in_flight_bytes,
        "busy_seconds": {name: stage["busy_seconds"] for name, stage in summary.stages.items()},
        "stage_threads": {name: stage["threads"] for name, stage in summary.stages.items()},
    }


def add_up(mine: PredictSummary, my_report: Report, others: Mapping[int, Report | None]) -> PredictSummary:
    """The summary of the job: rank 0's, with the sums over all ranks.

    Args:
        others: reports by rank; empty or None of those that had nothing to do, or were lost when all was done.
    """
    reports = {0: my_report, **{rank: report for rank, report in others.items() if report}}
    seconds = mine.seconds
    stages = {}
    for name in mine.stages:
        busy = sum(report["busy_seconds"][name] for report in reports.values())
        threads = sum(report["stage_threads"][name] for report in reports.values())
        share = busy / (threads * seconds) if seconds > 0 else 0.0
        stages[name] = {"threads": threads, "busy_seconds": busy, "busy": share}
    shown = ("host", "units", "rows_scored", "seconds", "peak_memory_bytes")
    return replace(
        mine,
        rows_scored=_sum(reports, "rows_scored"),
        rows_not_finite=_sum(reports, "rows_not_finite"),
        threads=_sum(reports, "threads"),
        peak_memory_bytes=_sum(reports, "peak_memory_bytes"),
        peak_in_flight_bytes=_sum(reports, "peak_in_flight_bytes"),
        stages=stages,
        ranks=1 + len(others),
        by_rank=[{"rank": rank, **{name: reports[rank][name] for name in shown}} for rank in sorted(reports)],
    )


def _sum(reports: Mapping[int, Report], name: str) -> int:
    return sum(int(report[name]) for report in reports.values())
