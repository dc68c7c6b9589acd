"""``recinfer``: all commands under one name."""

from __future__ import annotations

import importlib
from difflib import get_close_matches

import click

from recinfer import __version__
from recinfer.cli.run import CONTEXT_SETTINGS

# Command -> module, which holds it under the same name as the module. In the order of use.
COMMANDS = {
    "models": "models",
    "validate": "validate",
    "train": "train",
    "eval": "evaluate",
    "export": "export",
    "predict": "predict",
    "verify": "verify",
    "inspect": "inspect",
    "compare": "compare",
    "sign": "sign",
    "import-checkpoint": "import_checkpoint",
}


class Commands(click.Group):
    """Commands that are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, None where there is none."""
        if cmd_name not in COMMANDS:
            return None
        module = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(f"recinfer.cli.{module}"), module)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments ask for; where there is none such, names the nearest.

        Raises:
            UsageError: there is no such command.
        """
        near = get_close_matches(args[0], COMMANDS, 1)
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            hint = f"Did you mean '{near[0]}'?" if near else f"The commands are {', '.join(COMMANDS)}."
            ctx.fail(f"No such command '{args[0]}'. {hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings=CONTEXT_SETTINGS)
@click.version_option(__version__, "--version", prog_name="recinfer", message="%(prog)s %(version)s")
def app() -> None:
    """Scores recommender models over large tables.

    A pipeline config, a trained checkpoint or an export, and Parquet or CSV go in; predictions, complete and exactly
    once, come out. Flags may be written with `_` or with `-`.
    """


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
