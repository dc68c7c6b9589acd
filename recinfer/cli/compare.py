"""``recinfer compare``: two models on the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from recinfer.cli.options import AT_LEAST_ONE, as_json, check_signature, fallback, signature
from recinfer.cli.output import count, print_json, size, table
from recinfer.cli.run import Command

if TYPE_CHECKING:
    from recinfer.export.comparison import Comparison, Side


@click.command(cls=Command)
@click.argument("first", metavar="EXPORT_A")
@click.argument("second", metavar="EXPORT_B")
@click.option("--data", required=True, metavar="PATH", help="Rows to score: a file, folder, glob or comma list.")
@click.option(
    "--rows", type=AT_LEAST_ONE, metavar="N", default=20_000, show_default=True, help="How many, from the first on."
)
@click.option(
    "--device", metavar="DEVICE", help="Score both on cpu, cuda or cuda:n. Default: each where it was made for."
)
@fallback
@signature
@as_json("the comparison")
def compare(
    first: str,
    second: str,
    data: str,
    rows: int,
    as_json: bool,
    require_signature: bool,
    public_key: str | None,
    **settings: Any,
) -> None:
    """Compare two exports: their scores, speed and size.

    EXPORT_A and EXPORT_B are export folders, or checkpoints with their pipeline.config. Both score the same rows, and
    take turns while they are timed, on one thread. Where the data has the label, AUC is shown too.
    """
    check_signature(require_signature, public_key)
    from recinfer.env import limit_library_threads

    # Before torch is imported, which is when libraries read it.
    limit_library_threads(1)
    from recinfer.main import compare as score_both

    found = score_both(first, second, data, rows=rows, public_key=public_key, **settings)
    if as_json:
        print_json(found.to_json())
    else:
        _print(found)


def _print(found: Comparison) -> None:
    click.echo(f"{count(found.rows, 'row')} of {found.data}")
    click.echo(
        table(
            ["", "kind", "rows/s", "slowest", "fastest", "size", "path"],
            [_side("A", found.first), _side("B", found.second)],
        )
    )
    click.echo(f"speed: B scores {found.speed_ratio:.2f} times the rows of A in a second (one thread, parsed rows)")
    click.echo("differences of scores:")
    shares = list(next(iter(found.differences.values())).quantiles)
    rows = [
        (name, each.mean, *(each.quantiles.get(share, float("nan")) for share in shares), each.largest, each.undefined)
        for name, each in found.differences.items()
    ]
    names = ["prediction", "mean", *(f"{float(share):.1%}".replace(".0%", "%") for share in shares), "largest"]
    click.echo(table([*names, "undefined"], rows))
    if found.auc:
        click.echo("AUC:")
        pairs = [
            (name, each.label, each.rows, each.first, each.second, each.change) for name, each in found.auc.items()
        ]
        click.echo(table(["prediction", "label", "rows", "A", "B", "change"], pairs))
    for side, only in (("A", found.only_first), ("B", found.only_second)):
        if only:
            click.echo(f"only {side} has: {', '.join(only)}")


def _side(name: str, side: Side) -> tuple[str | int, ...]:
    speed = side.speed
    return name, side.kind, round(speed.median), round(speed.slowest), round(speed.fastest), size(side.bytes), side.path


def main() -> None:
    """Runs the command."""
    compare()
