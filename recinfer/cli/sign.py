"""``recinfer sign``: puts a signature on an export."""

from __future__ import annotations

import click

from recinfer.cli.run import Command


@click.command(cls=Command)
@click.argument("export", metavar="EXPORT")
@click.option(
    "--private-key",
    required=True,
    metavar="FILE",
    help="A PEM file without password, of an elliptic curve: P-256, P-384 or P-521.",
)
def sign(export: str, private_key: str) -> None:
    """Sign an export, so that `recinfer predict --require-signature` takes it.

    EXPORT is the folder that `recinfer export` wrote. Its files are held against their SHA-256 first; then all of them
    are signed, and the signature goes to recinfer.sig beside them. Whoever has the public key can tell whether a file
    was changed, added or removed. Needs `pip install 'recinfer[sign]'`.
    """
    from recinfer.main import sign as sign_export

    signature = sign_export(export, private_key)
    click.echo(f"signed: {signature}")


def main() -> None:
    """Runs the command."""
    sign()
