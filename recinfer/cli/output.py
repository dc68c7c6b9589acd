"""How results are printed: JSON for programs, aligned text for people."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import click

WIDEST_CELL = 40


def print_json(value: Any) -> None:
    """Prints a value as one line of JSON on stdout; NaN and infinities become null."""
    click.echo(json.dumps(_plain(value), ensure_ascii=False, allow_nan=False))


def print_pairs(pairs: Sequence[tuple[str, str]], indent: str = "  ", err: bool = False) -> None:
    """Prints names and values in two columns; a value of several lines keeps its column."""
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        for number, line in enumerate(value.split("\n")):
            click.echo(f"{indent}{name if not number else '':<{width}}  {line}".rstrip(), err=err)


def table(names: Sequence[str], rows: Sequence[Sequence[Any]], indent: str = "  ") -> str:
    """Rows as aligned text; numbers stand right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max([len(name), *(len(row[column]) for row in cells)]) for column, name in enumerate(names)]
    right = [all(isinstance(row[column], int | float) for row in rows) for column in range(len(names))]
    lines = []
    for row in [list(names), *cells]:
        padded = (
            text.rjust(width) if number else text.ljust(width)
            for text, width, number in zip(row, widths, right, strict=True)
        )
        lines.append(indent + "  ".join(padded).rstrip())
    return "\n".join(lines)


def metric_pairs(metrics: Mapping[str, float]) -> list[tuple[str, str]]:
    """Metrics for :func:`print_pairs`; one that is not defined says so."""
    return [
        (name, "not defined (only one label occurs)" if math.isnan(value) else f"{value:.6f}")
        for name, value in metrics.items()
    ]


def count(number: int, noun: str) -> str:
    """``1 row``, ``1,234 rows``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def size(number: int) -> str:
    """Bytes for people: ``812 MiB``."""
    amount, unit = float(number), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.0f} {unit}" if amount >= 10 or unit == "B" else f"{amount:.1f} {unit}"


def duration(seconds: float) -> str:
    """Seconds for people: ``0.35 s``, ``12.3 s``, ``4 min 05 s``, ``2 h 03 min``."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _cell(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    text = text.replace("\n", " ")
    return text if len(text) <= WIDEST_CELL else text[: WIDEST_CELL - 3] + "..."


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, str | int | bool) else str(value)
