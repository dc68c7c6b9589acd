"""How every command runs: errors become one message and an exit code, the log goes to stderr."""

from __future__ import annotations

import signal
from typing import Any, NoReturn

import click

from recinfer.cli.logs import log_to_stderr
from recinfer.errors import RecinferError, ToldByOtherRankError
from recinfer.interrupts import noticing

INTERRUPTED = 130


def underscored(name: str) -> str:
    """One spelling for flags: ``--dry-run`` is ``--dry_run``."""
    return name.replace("-", "_")


CONTEXT_SETTINGS: dict[str, Any] = {
    "token_normalize_func": underscored,
    "help_option_names": ["-h", "--help"],
    "max_content_width": 120,
}


class Command(click.Command):
    """A command with ``-v``, whose failures are messages.

    A :class:`RecinferError` ends it with the error's own exit code, Ctrl-C with 130. Any other exception is a bug and
    keeps its traceback, with exit code 1.

    Args:
        when_stopped: what to tell a user who pressed Ctrl-C.
        stop_signals: end it as Ctrl-C does.
    """

    def __init__(
        self,
        *args: Any,
        when_stopped: str = "nothing was changed",
        stop_signals: tuple[signal.Signals, ...] = (signal.SIGINT,),
        **settings: Any,
    ) -> None:
        settings.setdefault("context_settings", CONTEXT_SETTINGS)
        super().__init__(*args, **settings)
        self.when_stopped = when_stopped
        self.stop_signals = stop_signals
        self.params.append(
            click.Option(["-v", "--verbose"], is_flag=True, help="Show also what libraries and details have to say.")
        )

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the body."""
        verbose = ctx.params.pop("verbose", False)
        with noticing(*self.stop_signals) as stopped:
            try:
                with log_to_stderr(verbose):
                    return super().invoke(ctx)
            except ToldByOtherRankError as error:
                raise click.exceptions.Exit(error.exit_code) from error
            except RecinferError as error:
                # A loader that is interrupted may call its file damaged.
                if stopped.is_set():
                    _fail(f"stopped; {self.when_stopped}", INTERRUPTED, error)
                _fail(str(error), error.exit_code, error)
            except KeyboardInterrupt as error:
                _fail(f"stopped; {self.when_stopped}", INTERRUPTED, error)


def _fail(message: str, exit_code: int, cause: BaseException) -> NoReturn:
    click.echo(f"error: {message}", err=True)
    raise click.exceptions.Exit(exit_code) from cause
