"""How results are printed."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from recinfer.cli.output import count, duration, metric_pairs, print_json, print_pairs, size, table


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.00 s"), (9.994, "9.99 s"), (12.34, "12.3 s"), (61, "1 min 01 s"), (7380, "2 h 03 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (20_000, "20 KiB"), (3 << 30, "3.0 GiB"), (5 << 50, "5120 TiB")],
)
def test_sizes(number: int, text: str) -> None:
    assert size(number) == text


def test_counts() -> None:
    assert [count(number, "row") for number in (0, 1, 2, 1234567)] == ["0 rows", "1 row", "2 rows", "1,234,567 rows"]


def test_numbers_stand_right_and_text_left() -> None:
    lines = table(["name", "value"], [("a", 1.5), ("long name", 1000000.0)]).splitlines()
    assert lines == ["  name       value", "  a            1.5", "  long name  1e+06"]


def test_long_and_broken_cells_stay_on_a_line() -> None:
    lines = table(["text"], [("x" * 100,), ("a\nb",)]).splitlines()
    assert [len(line) for line in lines] == [6, 42, 5]


def test_tables_without_rows() -> None:
    assert table(["a", "b"], []) == "  a  b"


def test_pairs_keep_their_column(capsys: pytest.CaptureFixture[str]) -> None:
    print_pairs([("a", "1\n2"), ("long", "3")])
    assert capsys.readouterr().out == "  a     1\n        2\n  long  3\n"


def test_json_is_one_strict_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"nan": math.nan, "inf": [math.inf, (1.5,)], "path": Path("a"), "none": None, "text": "é\n", 3: True})
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert json.loads(printed) == {
        "nan": None,
        "inf": [None, [1.5]],
        "path": "a",
        "none": None,
        "text": "é\n",
        "3": True,
    }


def test_undefined_metrics_say_so() -> None:
    assert dict(metric_pairs({"auc": 0.75, "other": math.nan})) == {
        "auc": "0.750000",
        "other": "not defined (only one label occurs)",
    }
