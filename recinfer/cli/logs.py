"""The log on stderr: recinfer's own lines, and of the libraries only what a user can act on."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import click

# Harmless: each says something about torch or torchrec to those who work on them.
HARMLESS_WARNINGS = (
    "The TorchScript type system doesn't support",
    "TorchScript will treat type annotations",
    ".*torch\\.jit\\.",
    ".*TypedStorage is deprecated",
    ".*ShardedTensor",
    ".*is deprecated.*[Pp]lease use",
    ".*`broadcast_buffers` is deprecated",
)
CHATTY_LOGGERS = ("torch.fx._symbolic_trace", "torch.distributed", "torchrec", "fbgemm_gpu")


class StderrHandler(logging.Handler):
    """Prints records as plain lines; warnings and errors say what they are.

    Attributes:
        last_line: ``time.monotonic()`` of the last line.
    """

    last_line = float("-inf")

    def emit(self, record: logging.LogRecord) -> None:
        """Prints a record."""
        prefix = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        click.echo(prefix + self.format(record), err=True)
        self.last_line = time.monotonic()


@contextmanager
def log_to_stderr(verbose: bool) -> Iterator[None]:
    """Shows recinfer's log on stderr for as long as a command runs.

    Args:
        verbose: show details too, and leave the libraries' loggers and warnings alone.
    """
    logger, root = logging.getLogger("recinfer"), logging.getLogger()
    handler, silent = StderrHandler(), logging.NullHandler()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    # Libraries set up the root logger as they like; our lines are to be there once.
    logger.propagate = False
    with warnings.catch_warnings():
        if not verbose:
            # Without any handler, Python itself would print what libraries warn of.
            root.addHandler(silent)
            _hush()
        try:
            yield
        finally:
            logger.removeHandler(handler)
            root.removeHandler(silent)
            logger.setLevel(level)
            logger.propagate = propagate


def be_quiet() -> None:
    """From now on only warnings and errors."""
    logging.getLogger("recinfer").setLevel(logging.WARNING)


def seconds_since_last_line() -> float:
    """Seconds since the log last said something; infinite if it has not."""
    handlers = [each for each in logging.getLogger("recinfer").handlers if isinstance(each, StderrHandler)]
    return time.monotonic() - max((each.last_line for each in handlers), default=float("-inf"))


def _hush() -> None:
    # What changes in a library's next version is for those who write code.
    warnings.filterwarnings("ignore", category=FutureWarning)
    for message in HARMLESS_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    for name in CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
