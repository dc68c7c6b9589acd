"""How commands end, and what they log."""

from __future__ import annotations

import contextlib
import logging
import signal
import warnings
from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner, Result

from recinfer import interrupts
from recinfer.cli.logs import be_quiet, seconds_since_last_line
from recinfer.cli.run import Command
from recinfer.errors import BadRowError, IncompleteError, ModelError


def invoke(body: Callable[..., None], *arguments: str, options: tuple[str, ...] = ()) -> Result:
    command = Command("made-up", callback=body, params=[click.Option([name]) for name in options])
    return CliRunner().invoke(command, list(arguments))


@pytest.mark.parametrize("kind", [BadRowError, IncompleteError])
def test_a_users_error_is_a_message_and_its_code(kind: type[BadRowError]) -> None:
    def body() -> None:
        raise kind("row 7 is bad", "mend it")

    result = invoke(body)
    assert result.exit_code == kind.exit_code
    assert result.stderr == "error: row 7 is bad\n  hint: mend it\n"
    assert result.stdout == ""


def test_ctrl_c_says_what_comes_next() -> None:
    def body() -> None:
        raise KeyboardInterrupt

    command = Command("made-up", callback=body, when_stopped="run it again")
    result = CliRunner().invoke(command, [])
    assert (result.exit_code, result.stderr) == (130, "error: stopped; run it again\n")


@pytest.mark.parametrize("after", [interrupts.check, lambda: refuse("the checkpoint is damaged")])
def test_ctrl_c_that_a_library_swallows_is_told_too(after: Callable[[], None]) -> None:
    def body() -> None:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        after()

    result = invoke(body)
    assert (result.exit_code, result.stderr) == (130, "error: stopped; nothing was changed\n")


def refuse(text: str) -> None:
    raise ModelError(text)


def test_a_bug_keeps_its_traceback() -> None:
    def body() -> None:
        raise ZeroDivisionError("bug")

    result = invoke(body)
    assert result.exit_code == 1
    assert isinstance(result.exception, ZeroDivisionError)


@pytest.mark.parametrize("spelling", ["--two_words", "--two-words"])
@pytest.mark.parametrize("declared", ["--two_words", "--two-words"])
def test_flags_take_both_spellings(declared: str, spelling: str) -> None:
    result = invoke(lambda two_words: click.echo(two_words), spelling, "kept_as-it-is", options=(declared,))
    assert result.stdout == "kept_as-it-is\n"


def test_a_misspelt_flag_names_the_nearest() -> None:
    result = invoke(lambda two_words: None, "--two-word", "x", options=("--two_words",))
    assert result.exit_code == 2
    assert "--two_words" in result.stderr


def chatter() -> None:
    logging.getLogger("recinfer.somewhere").debug("a detail")
    logging.getLogger("recinfer.somewhere").info("a fact")
    logging.getLogger("recinfer.somewhere").warning("a danger")
    logging.getLogger("torchrec.somewhere").warning("library talk")
    logging.getLogger("unknown").error("other talk")
    warnings.warn("Please use something else than torch.jit.script, it is old", DeprecationWarning, stacklevel=1)
    warnings.warn("`isinstance(treespec, LeafSpec)` is deprecated", FutureWarning, stacklevel=1)


def test_the_log_goes_to_stderr_once_and_libraries_are_silent() -> None:
    result = invoke(chatter)
    assert result.stderr == "a fact\nwarning: a danger\n"
    assert result.stdout == ""


def test_verbose_shows_details() -> None:
    with pytest.warns(FutureWarning, match="LeafSpec"), pytest.warns(DeprecationWarning, match="it is old"):
        result = invoke(chatter, "-v")
    assert "a detail\na fact\nwarning: a danger\n" in result.stderr


def test_quiet_leaves_warnings() -> None:
    def body() -> None:
        be_quiet()
        chatter()

    assert invoke(body).stderr == "warning: a danger\n"


def test_logging_is_as_before_afterwards() -> None:
    logger, root = logging.getLogger("recinfer"), logging.getLogger()
    before = (list(logger.handlers), logger.level, logger.propagate, list(root.handlers), list(warnings.filters))
    invoke(chatter)
    assert before == (
        list(logger.handlers),
        logger.level,
        logger.propagate,
        list(root.handlers),
        list(warnings.filters),
    )


def test_knows_how_long_the_log_has_been_silent() -> None:
    def body() -> None:
        before = seconds_since_last_line()
        logging.getLogger("recinfer").info("a fact")
        click.echo(f"{before} {seconds_since_last_line() < 60}")

    assert invoke(body).stdout == "inf True\n"
