"""The summary of a prediction, for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from recinfer.cli.output import count, duration, print_pairs, size, table

if TYPE_CHECKING:
    from recinfer.predict.job import PredictSummary


def print_summary(summary: PredictSummary, profile: Path | None = None) -> None:
    """Prints rows, speed, stages and memory on stdout."""
    aside = f" + {summary.quarantined:,} quarantined" if summary.quarantined else ""
    head = "nothing was left to do" if not summary.rows_scored else "done"
    click.echo(
        f"{head}: {count(summary.rows_in, 'row')} in = {summary.rows_out:,} out{aside}; "
        f"{count(summary.parts, 'part')} in {summary.output}"
    )
    if summary.rows_scored:
        print_pairs(_pairs(summary))
        _print_stages(summary)
    if summary.rows_not_finite:
        click.echo(f"  {count(summary.rows_not_finite, 'row')} of this run with scores that are NaN or infinite")
    if summary.quarantined:
        click.echo(f"  the quarantined rows, with reasons, are in {summary.output}/_quarantine")
    if profile is not None and summary.rows_scored:
        click.echo(f"  the profile is in {profile}")


def _pairs(summary: PredictSummary) -> list[tuple[str, str]]:
    earlier = summary.rows_in - summary.rows_scored
    first = summary.first_batch_seconds
    steps = summary.chunk.get("steps")
    pairs = [
        ("speed", f"{summary.rows_per_second:,.0f} rows/s, {duration(summary.seconds)} of scoring"),
        (
            "start-up",
            duration(summary.start_seconds) + (f"; first batch {duration(first)} later" if first is not None else ""),
        ),
        (
            "scorer",
            f"{count(summary.threads, 'thread')}, chunks of {count(summary.chunk['rows'], 'row')}"
            + (f" or {count(steps, 'step')}" if steps else ""),
        ),
        (
            "memory",
            f"{size(summary.peak_memory_bytes)} at most, {size(summary.peak_in_flight_bytes)} of it rows in flight",
        ),
    ]
    if summary.by_rank:
        most = max(summary.by_rank, key=lambda report: report["rows_scored"])
        pairs.insert(
            1,
            (
                "processes",
                f"{summary.ranks}; rank {most['rank']} scored most: {count(most['rows_scored'], 'row')} "
                f"in {count(most['units'], 'unit')}",
            ),
        )
    if earlier > 0:
        pairs.insert(0, ("resumed", f"{count(earlier, 'row')} were there, {summary.rows_scored:,} were scored now"))
    return pairs


def _print_stages(summary: PredictSummary) -> None:
    rows = [
        (name, int(stage["threads"]), duration(stage["busy_seconds"]), f"{stage['busy']:.0%}")
        for name, stage in summary.stages.items()
    ]
    click.echo(table(["stage", "threads", "work", "busy"], rows))
