"""``recinfer models``: which models there are, and a config to start from."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from recinfer.cli.options import as_json
from recinfer.cli.output import print_json, print_pairs
from recinfer.cli.run import Command

if TYPE_CHECKING:
    from recinfer.catalogue import ModelFacts


@click.command(cls=Command)
@click.argument("model", metavar="[MODEL]", required=False)
@as_json("the models, or the one with its config,")
def models(model: str | None, as_json: bool) -> None:
    """List the models, or print a config to start from.

    Without MODEL: every model with its paper and the feature groups that it reads. With MODEL, such as deepfm: a small
    pipeline config that trains on the rows of scripts/make_taobao.py; write it to a file and put in your own features.
    """
    from recinfer.catalogue import CATALOGUE, find_model, starter_config

    if model is None:
        every = list(CATALOGUE.values())
        if as_json:
            print_json([_as_dict(facts) for facts in every])
        else:
            _print_list(every)
        return
    facts = find_model(model)
    if as_json:
        print_json({**_as_dict(facts), "config": starter_config(facts)})
    else:
        click.echo(starter_config(facts), nl=False)


def _as_dict(facts: ModelFacts) -> dict[str, Any]:
    values = asdict(facts)
    return {name: values[name] for name in ("name", "title", "summary", "paper", "link", "multi_task", "groups")}


def _print_list(every: list[ModelFacts]) -> None:
    for title, multi_task in (("ranking", False), ("multi-task", True)):
        click.echo(f"{title}:")
        print_pairs([(facts.name, _text(facts)) for facts in every if facts.multi_task == multi_task])
    click.echo("A DEEP group may hold sequence groups with encoders, beside other features.")
    click.echo("recinfer models MODEL prints a config to start from.")


def _text(facts: ModelFacts) -> str:
    lines = [f"{facts.title}: {facts.summary}", facts.citation, *(f"- {group}" for group in facts.groups)]
    return "\n".join(line for line in lines if line)


def main() -> None:
    """Runs the command."""
    models()
