"""How every command runs: errors become one message and an exit code, the log goes to stderr."""

from __future__ import annotations

from typing import Any

import click

from recinfer.cli.logs import log_to_stderr
from recinfer.errors import RecinferError

INTERRUPTED = 130


def underscored(name: str) -> str:
    """One spelling for flags: ``--dry-run`` is ``--dry_run``."""
    return name.replace("-", "_")


CONTEXT_SETTINGS: dict[str, Any] = {
    "token_normalize_func": underscored,
    "help_option_names": ["-h", "--help"],
    "max_content_width": 120,
}


class Failure(click.ClickException):
    """What ends a command: printed as ``error: ...`` without a traceback."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code

    def show(self, file: Any = None) -> None:
        """Prints the message on stderr."""
        click.echo(f"error: {self.message}", file=file, err=True)


class Command(click.Command):
    """A command with ``-v``, whose failures are messages.

    A :class:`RecinferError` ends it with the error's own exit code, Ctrl-C with 130. Any other exception is a bug and
    keeps its traceback, with exit code 1.

    Args:
        when_stopped: what to tell a user who pressed Ctrl-C.
    """

    def __init__(self, *args: Any, when_stopped: str = "nothing was changed", **settings: Any) -> None:
        settings.setdefault("context_settings", CONTEXT_SETTINGS)
        super().__init__(*args, **settings)
        self.when_stopped = when_stopped
        self.params.append(
            click.Option(["-v", "--verbose"], is_flag=True, help="Show also what libraries and details have to say.")
        )

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the body."""
        verbose = ctx.params.pop("verbose", False)
        try:
            with log_to_stderr(verbose):
                return super().invoke(ctx)
        except RecinferError as error:
            raise Failure(str(error), error.exit_code) from error
        except KeyboardInterrupt as error:
            raise Failure(f"stopped; {self.when_stopped}", INTERRUPTED) from error
