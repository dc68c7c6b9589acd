"""``recinfer validate``: what is wrong with a config, and with data for it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from recinfer.cli.options import as_json, config_edits
from recinfer.cli.output import count, print_json
from recinfer.cli.run import Command

if TYPE_CHECKING:
    from recinfer.config.problems import Problem


@click.command(cls=Command)
@click.argument("config", metavar="CONFIG")
@click.option("--data", metavar="PATH", help="A table whose columns and types are held against the config.")
@config_edits
@as_json("the problems")
@click.pass_context
def validate(
    ctx: click.Context,
    config: str,
    data: str | None,
    overrides: tuple[str, ...],
    edit_config_json: str | None,
    as_json: bool,
) -> None:
    """Check a pipeline config, and data against it.

    CONFIG is the config's path. Prints every problem, not just the first, before anything is trained or scored; exits
    with 3 where there are any (4 where only the data has them).
    """
    from recinfer.config.problems import Problem
    from recinfer.errors import ConfigError, InputError
    from recinfer.main import validate as find_problems

    try:
        problems = find_problems(config, data=data, overrides=overrides, edit_config_json=edit_config_json)
    except (ConfigError, InputError) as error:
        if not as_json:
            raise
        # Programs get the reason that nothing could be looked at in the same form.
        where = data if data and isinstance(error, InputError) else config
        problems = [Problem(where, error.message, error.hint)]
    if as_json:
        print_json({"ok": not problems, "problems": [asdict(problem) for problem in problems]})
    elif problems:
        _print_problems(problems, config, data)
    else:
        click.echo(f"ok: {config}" + (f" fits {data}" if data else ""))
    if problems:
        ctx.exit((InputError if all(problem.where == data for problem in problems) else ConfigError).exit_code)


def _print_problems(problems: list[Problem], config: str, data: str | None) -> None:
    from recinfer.config.problems import grouped_lines

    by_place = {data or "": [each for each in problems if each.where == data], config: []}
    by_place[config] += [each for each in problems if each.where != data]
    for place, found in by_place.items():
        if found:
            click.echo("\n".join([f"{place}: {count(len(found), 'problem')}", *grouped_lines(found, place)]))


def main() -> None:
    """Runs the command."""
    validate()
