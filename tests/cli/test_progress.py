"""Progress lines and the summary, from snapshots and summaries made by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recinfer.cli.progress import PlainLines, show_progress, start_line
from recinfer.cli.summary import print_summary
from recinfer.predict.job import PredictSummary
from recinfer.predict.progress import Snapshot


def snapshot(seconds: float, rows: int = 250, units: int = 4) -> Snapshot:
    return Snapshot(rows, 1000, seconds, "score", 1, units)


def prepared(steps: int | None = None) -> Any:
    plan = SimpleNamespace(rows=1000, units=[None] * 4)
    chunking = SimpleNamespace(rows=1024, steps=steps)
    reader, scorer = SimpleNamespace(files=[None]), SimpleNamespace(chunking=chunking)
    return SimpleNamespace(plan=plan, reader=reader, scorer=scorer, threads=2)


def test_plain_lines_come_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    show = PlainLines()
    for seconds in (0.5, 9.9, 10.0, 10.5, 19.9, 20.1, 20.6):
        show(snapshot(seconds))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "250 of 1,000 rows (25%), 25 rows/s, 30.0 s left, limited by score",
        "250 of 1,000 rows (25%), 12 rows/s, 1 min 00 s left, limited by score",
    ]


def test_before_the_first_row(capsys: pytest.CaptureFixture[str]) -> None:
    PlainLines(every=0)(snapshot(1.0, rows=0))
    assert capsys.readouterr().err == "0 of 1,000 rows (0%), 0 rows/s, no row yet, limited by score\n"


@pytest.mark.parametrize(
    ("pending", "steps", "said"),
    [
        (4, None, "in 4 units: 2 scorer threads, chunks of 1,024 rows"),
        (1, 1500, "in 4 units, of which 3 were done earlier: 2 scorer threads, chunks of 1,024 rows or 1,500 steps"),
    ],
)
def test_start_line(pending: int, steps: int | None, said: str) -> None:
    assert start_line(prepared(steps), pending) == f"scoring 1,000 rows of 1 file {said}"


def test_the_start_line_comes_once_with_the_first_snapshot(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress(prepared(), quiet=False) as on_progress:
        assert on_progress is not None
        assert capsys.readouterr().err == ""
        on_progress(snapshot(0.5))
        on_progress(snapshot(1.0))
    assert capsys.readouterr().err.count("scoring 1,000 rows") == 1


def test_quiet_shows_nothing() -> None:
    with show_progress(prepared(), quiet=True) as on_progress:
        assert on_progress is None


def test_a_terminal_has_a_live_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with show_progress(prepared(), quiet=False) as on_progress:
        assert on_progress is not None
        on_progress(snapshot(10.0))
    shown = capsys.readouterr()
    assert shown.out == ""
    for said in ("250 / 1,000 rows", "25 rows/s, 30.0 s left, limited by score"):
        assert said in shown.err


def summary(**changes: Any) -> PredictSummary:
    values: dict[str, Any] = {
        "rows_in": 1000,
        "rows_out": 1000,
        "quarantined": 0,
        "rows_scored": 1000,
        "parts": 4,
        "seconds": 2.0,
        "start_seconds": 1.5,
        "first_batch_seconds": 0.25,
        "chunk": {"rows": 1024, "steps": None},
        "threads": 2,
        "peak_memory_bytes": 400 << 20,
        "peak_in_flight_bytes": 20 << 20,
        "already_complete": False,
        "output": "out",
        "stages": {"score": {"threads": 2, "busy_seconds": 3.0, "busy": 0.75}},
    }
    return PredictSummary(**{**values, **changes})


def test_summary(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(summary())
    assert capsys.readouterr().out.splitlines() == [
        "done: 1,000 rows in = 1,000 out; 4 parts in out",
        "  speed     500 rows/s, 2.00 s of scoring",
        "  start-up  1.50 s; first batch 0.25 s later",
        "  scorer    2 threads, chunks of 1,024 rows",
        "  memory    400 MiB at most, 20 MiB of it rows in flight",
        "  stage  threads  work    busy",
        "  score        2  3.00 s  75%",
    ]


def test_summary_of_a_resumed_run_with_bad_rows(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(summary(rows_out=990, quarantined=10, rows_scored=250), Path("out.profile"))
    said = capsys.readouterr().out
    assert "done: 1,000 rows in = 990 out + 10 quarantined;" in said
    assert "resumed   750 rows were there, 250 were scored now" in said
    assert "out/_quarantine" in said
    assert "the profile is in out.profile" in said
