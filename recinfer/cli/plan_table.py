"""A sharding plan, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from recinfer.cli.output import count, size, table

if TYPE_CHECKING:
    from recinfer.distributed.plan_table import PlanRow

SHOWN_RANKS = 8


def print_plan(rows: Sequence[PlanRow]) -> None:
    """Prints where each table lies on stderr."""
    if not rows:
        return
    held: dict[int, int] = {}
    for row in rows:
        for rank, amount in row.bytes.items():
            held[rank] = held.get(rank, 0) + amount
    cells = [
        [row.table, row.lookup, f"{row.rows:,} x {row.dim}", row.sharding, _ranks(list(row.bytes)), _sizes(row)]
        for row in rows
    ]
    most = max(held.values())
    click.echo(f"{count(len(rows), 'table')}; at most {size(most)} of weights on a rank:", err=True)
    click.echo(table(["table", "lookup", "rows x dim", "sharding", "ranks", "bytes on a rank"], cells), err=True)


def _ranks(ranks: Sequence[int]) -> str:
    ordered = sorted(ranks)
    if len(ordered) > 1 and ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"{ordered[0]}-{ordered[-1]}"
    more = f" and {len(ordered) - SHOWN_RANKS} more" if len(ordered) > SHOWN_RANKS else ""
    return ", ".join(map(str, ordered[:SHOWN_RANKS])) + more


def _sizes(row: PlanRow) -> str:
    least, most = min(row.bytes.values()), max(row.bytes.values())
    return size(most) if least == most else f"{size(least)} to {size(most)}"
