"""``recinfer import-checkpoint``: checkpoints from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from recinfer.cli.options import as_json, config_edits, pipeline_config
from recinfer.cli.output import count, print_json, size
from recinfer.cli.run import Command

if TYPE_CHECKING:
    from recinfer.train.import_report import ImportReport

SHOWN = 10


@click.command("import-checkpoint", cls=Command, when_stopped="nothing is left behind")
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST")
@pipeline_config
@click.option(
    "--map",
    "names",
    multiple=True,
    metavar="OLD=NEW|FILE",
    help="A name of the checkpoint and its name in the model; OLD.*=NEW.* for all that begin so; or a file of such "
    "lines. May be repeated.",
)
@click.option("--drop-unexpected", is_flag=True, help="Leave out what the model does not have.")
@click.option("--cast", is_flag=True, help="Change floating-point types to the model's.")
@click.option("--overwrite", is_flag=True, help="Replace the checkpoint of that step, once the new one is complete.")
@config_edits
@as_json("the report")
def import_checkpoint(source: str, target: str, pipeline_config: str, as_json: bool, **settings: Any) -> None:
    """Convert a checkpoint from elsewhere into one of the config's model.

    SRC is model.ckpt-<step> of TorchEasyRec or recinfer, a folder of such, or a torch.distributed.checkpoint folder.
    DST is a model folder, in which model.ckpt-<step> appears, whole, or not at all. Names, shapes and types are held
    against the config first: every name that is missing or unknown is listed with the nearest one. Nothing in SRC is
    run.
    """
    from recinfer.main import import_checkpoint as convert
    from recinfer.train.import_report import DoesNotFitError

    try:
        report = convert(source, target, pipeline_config, **settings)
    except DoesNotFitError as error:
        if as_json:
            print_json(error.report.to_json())
        raise
    if as_json:
        print_json(report.to_json())
    else:
        _print(report)


def _print(report: ImportReport) -> None:
    click.echo(f"done: {report.target}, {count(report.tensors, 'tensor')}, {size(report.bytes)}, from {report.source}")
    for new, old in list(report.renamed.items())[:SHOWN]:
        click.echo(f"  renamed: {old} -> {new}")
    _more("renamed", len(report.renamed))
    for name in report.dropped[:SHOWN]:
        click.echo(f"  left out: {name}")
    _more("left out", len(report.dropped))
    for name, types in list(report.cast.items())[:SHOWN]:
        click.echo(f"  changed: {name}: {types}")
    _more("changed", len(report.cast))
    kept = f"{count(report.optimizer, 'tensor')} of optimizer state"
    lost = f", {len(report.optimizer_dropped):,} of none of its parameters left out" if report.optimizer_dropped else ""
    use = "" if report.optimizer else ": it predicts and fine-tunes, and does not resume training"
    click.echo(f"  {kept}{lost}{use}")
    if report.averages:
        click.echo(f"  {count(report.averages, 'moving average')}")


def _more(what: str, number: int) -> None:
    if number > SHOWN:
        click.echo(f"  {what}: {number - SHOWN:,} more, which --json has")


def main() -> None:
    """Runs the command."""
    import_checkpoint()
