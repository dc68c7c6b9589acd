#!/usr/bin/env python3
"""Writes docs/cli.md from the commands themselves, so that the page cannot say something else than `--help`.

Usage: generate_cli_docs.py [--check]    (--check: writes nothing, exits 1 where the page is not what would be written)
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
HEAD = """# Command line

Made by `scripts/generate_cli_docs.py` from the commands; edit those, not this page.
`recinfer --help` and `recinfer COMMAND --help` say the same.
"""


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """The command and everything under it, in its help's order, with full names such as ``recinfer predict``."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None and not found.hidden:
                yield from commands(found, f"{name} {child}")


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def parameter_rows(command: click.Command, context: click.Context) -> list[tuple[str, str]]:
    """(flags, help) of each parameter that ``--help`` shows; arguments by name."""
    rows = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if isinstance(parameter, click.Argument):
            rows.append((parameter.make_metavar(context), "required" if parameter.required else "optional"))
        elif record is not None:
            rows.append(record)
    return rows


def section(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=name, **{**command.context_settings, "max_content_width": 100})
    pieces = " ".join(command.collect_usage_pieces(context))
    lines = [f"## {name}", "", f"`{name} {pieces}`", "", inspect.cleandoc(command.help or "").replace("\b", ""), ""]
    rows = parameter_rows(command, context)
    if rows:
        lines += ["| option | meaning |", "|---|---|"]
        lines += [f"| `{cell(flags)}` | {cell(text)} |" for flags, text in rows]
        lines.append("")
    return "\n".join(lines)


def render(root: click.Command, name: str = "recinfer") -> str:
    """The whole page, one section per command."""
    return "\n".join([HEAD, *(section(full, command) for full, command in commands(root, name))]).rstrip() + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare only")
    options = parser.parse_args(arguments)
    from recinfer.cli.app import app

    page = render(app)
    if options.check:
        current = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
        if current != page:
            print(f"{PAGE} is not what the commands say; run: python scripts/generate_cli_docs.py", file=sys.stderr)
            return 1
        print("docs/cli.md is current")
        return 0
    PAGE.write_text(page, encoding="utf-8")
    print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
