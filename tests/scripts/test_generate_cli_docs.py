"""The page on the command line, rendered from commands."""

from __future__ import annotations

import click
from generate_cli_docs import render


@click.group(help="Scores tables.")
def app() -> None: ...


@app.command(help="Says hello.")
@click.option("--name", "-n", required=True, help="Whom to greet, a|b.")
@click.argument("path")
def greet(name: str, path: str) -> None: ...


@app.command(hidden=True)
def secret() -> None: ...


def test_has_every_shown_command_and_option() -> None:
    page = render(app)
    assert "## recinfer\n" in page and "## recinfer greet\n" in page
    assert "Scores tables." in page and "Says hello." in page
    assert "| `-n, --name TEXT` | Whom to greet, a\\|b.  [required] |".replace("  [", " [") in page
    assert "PATH" in page
    assert "secret" not in page


def test_is_the_same_every_time() -> None:
    assert render(app) == render(app)
