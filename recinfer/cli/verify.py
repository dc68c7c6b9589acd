"""``recinfer verify``: is an output complete?"""

from __future__ import annotations

import click

from recinfer.cli.options import as_json
from recinfer.cli.output import count, print_json, size
from recinfer.cli.run import Command

SHOWN = 20


@click.command(cls=Command)
@click.argument("output", metavar="OUTPUT")
@as_json("the findings")
def verify(output: str, as_json: bool) -> None:
    """Read predictions again and hold them against their manifest.

    OUTPUT is the folder that `recinfer predict` wrote. Every part is read: its size, SHA-256, rows and columns. Exits
    with 11 where something is missing or damaged.
    """
    from recinfer.errors import IncompleteError
    from recinfer.main import verify as verify_output

    report = verify_output(output)
    if as_json:
        print_json({**vars(report), "complete": report.complete})
    if not report.complete:
        listed = [f"  - {problem}" for problem in report.problems[:SHOWN]]
        hidden = len(report.problems) - SHOWN
        problems = "\n".join(listed + ([f"  - and {hidden:,} more; --json shows all"] if hidden > 0 else []))
        raise IncompleteError(
            f"{output} is not complete: {count(len(report.problems), 'problem')}\n{problems}", _advice(report.units)
        )
    if not as_json:
        aside = f" and {count(report.quarantined, 'row')} in _quarantine" if report.quarantined else ""
        parts = count(report.parts, "part")
        click.echo(f"{output} is complete: {count(report.rows, 'row')} in {parts}{aside}, {size(report.bytes)}")


def _advice(units: int) -> str:
    if not units:
        return "give the folder that --predict_output_path named"
    return "run the same recinfer-predict command again to go on, or with --overwrite to start anew"


def main() -> None:
    """Runs the command."""
    verify()
