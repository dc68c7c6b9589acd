"""Flags that several commands share, and the types of their values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Body = TypeVar("Body", bound=Callable[..., Any])


class Choice(click.Choice[str]):
    """One of several names, which an error spells as they are; click's own spells them as it compares them."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """What a name that is none of them is answered."""
        return f"{value!r} is not one of {', '.join(map(repr, self.choices))}."


AT_LEAST_ONE = click.IntRange(min=1)
NOT_NEGATIVE = click.IntRange(min=0)
# The types are spelled out so that `--help` does not import the rooms that know them; a test compares.
TABLE_TYPES = Choice(["FP32", "FP16", "INT8", "INT4", "INT2"], case_sensitive=False)
DATASET_TYPES = Choice(["ParquetDataset", "CsvDataset"])
WRITER_TYPES = Choice(["ParquetWriter", "CsvWriter"])


class NameList(click.ParamType):
    """Column names, separated by commas."""

    name = "names"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """For help."""
        return "a,b,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """The names, without the spaces around them."""
        if isinstance(value, list):
            return value
        names = [name.strip() for name in str(value).split(",")]
        if not all(names):
            self.fail(f"{value!r} has an empty name; separate names by single commas", param, ctx)
        return names


def pipeline_config(body: Body) -> Body:
    """``--pipeline_config_path``."""
    return click.option(
        "--pipeline_config_path",
        "--pipeline_config",
        "pipeline_config",
        required=True,
        metavar="FILE",
        help="The pipeline config, as text.",
    )(body)


def config_edits(body: Body) -> Body:
    """``-o`` and ``--edit_config_json``."""
    body = click.option(
        "--edit_config_json",
        metavar="JSON",
        help="""Set fields of the config after -o, such as '{"train_config.num_epochs": 3}'.""",
    )(body)
    return click.option(
        "-o",
        "--override",
        "overrides",
        multiple=True,
        metavar="FIELD=VALUE",
        help="Set a field of the config, such as data_config.batch_size=4096. May be repeated.",
    )(body)


def device(body: Body) -> Body:
    """``--device`` of commands that run eager models."""
    return click.option(
        "--device",
        metavar="DEVICE",
        help="cpu, cuda or cuda:n. Default: a GPU where there is one, and under torchrun one for each process.",
    )(body)


def fallback(body: Body) -> Body:
    """``--fallback``."""
    return click.option(
        "--fallback",
        type=Choice(["jit", "eager"]),
        help="Where a compiled export does not run here: score with its scripted model, or its parameters, if it has "
        "them.",
    )(body)


def signature(body: Body) -> Body:
    """``--require-signature`` and ``--public-key``; see :func:`check_signature`."""
    body = click.option("--public-key", metavar="FILE", help="A PEM file, for --require-signature.")(body)
    return click.option(
        "--require-signature", is_flag=True, help="Refuse an export that is not signed with the pair of --public-key."
    )(body)


def check_signature(require_signature: bool, public_key: str | None) -> None:
    """Refuses one of the two without the other."""
    if require_signature != (public_key is not None):
        raise click.UsageError("--require-signature and --public-key go together.")


def as_json(what: str) -> Callable[[Body], Body]:
    """``--json``.

    Args:
        what: is printed.
    """
    text = f"Print {what} as one line of JSON on stdout; all else goes to stderr."
    return click.option("--json", "as_json", is_flag=True, help=text)
