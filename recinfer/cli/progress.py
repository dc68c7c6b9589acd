"""Progress of a prediction on stderr: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import click

from recinfer.cli.output import count, duration

if TYPE_CHECKING:
    from recinfer.predict.job import Prepared
    from recinfer.predict.progress import Snapshot

OnProgress = Callable[["Snapshot"], None]

# Seconds between plain lines: a log of a day's run stays readable.
LINE_SECONDS = 10.0


@contextmanager
def show_progress(prepared: Prepared, quiet: bool, processes: int = 1) -> Iterator[OnProgress | None]:
    """Yields what a run is to call twice a second; None with ``quiet``."""
    if quiet:
        yield None
        return
    with _live_line() if sys.stderr.isatty() else nullcontext(PlainLines()) as show:
        started = False

        # The first line waits for the first snapshot: a run that is refused at its start says nothing but the error.
        def on_progress(snapshot: Snapshot) -> None:
            nonlocal started
            if not started:
                click.echo(start_line(prepared, snapshot.total_units, processes), err=True)
                started = True
            show(snapshot)

        yield on_progress


def start_line(prepared: Prepared, pending_units: int, processes: int = 1) -> str:
    """What is being done, and how."""
    units, chunk = len(prepared.plan.units), prepared.scorer.chunking
    done = f", of which {units - pending_units:,} were done earlier" if pending_units < units else ""
    together = f"{processes} processes, rank 0 with " if processes > 1 else ""
    steps = f" or {count(chunk.steps, 'step')}" if chunk.steps else ""
    return (
        f"scoring {count(prepared.plan.rows, 'row')} of {count(len(prepared.reader.files), 'file')} in "
        f"{count(units, 'unit')}{done}: {together}{count(prepared.threads, 'scorer thread')}, "
        f"chunks of {count(chunk.rows, 'row')}{steps}"
    )


class PlainLines:
    """Prints a line every ten seconds."""

    def __init__(self, every: float = LINE_SECONDS) -> None:
        self._every = every
        self._next = every

    def __call__(self, snapshot: Snapshot) -> None:
        """Called with each snapshot."""
        if snapshot.seconds < self._next:
            return
        self._next = snapshot.seconds + self._every
        share = snapshot.rows / max(snapshot.total_rows, 1)
        click.echo(f"{snapshot.rows:,} of {snapshot.total_rows:,} rows ({share:.0%}), {_pace(snapshot)}", err=True)


def _pace(snapshot: Snapshot) -> str:
    left = duration(snapshot.eta_seconds) + " left" if snapshot.eta_seconds is not None else "no row yet"
    return f"{snapshot.rows_per_second:,.0f} rows/s, {left}, limited by {snapshot.stage}"


@contextmanager
def _live_line() -> Iterator[OnProgress]:
    # Imported here: what writes to a file or a pipe does without.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]}"),
        TextColumn("{task.fields[pace]}", style="dim"),
    )
    with Progress(*columns, console=Console(stderr=True, highlight=False), transient=True, refresh_per_second=4) as bar:
        task = bar.add_task("", total=None, rows="starting", pace="")

        def show(snapshot: Snapshot) -> None:
            rows = f"{snapshot.rows:,} / {snapshot.total_rows:,} rows"
            bar.update(task, total=snapshot.total_rows, completed=snapshot.rows, rows=rows, pace=_pace(snapshot))

        yield show
