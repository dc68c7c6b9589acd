"""``recinfer eval``: the metrics of a checkpoint."""

from __future__ import annotations

import click

from recinfer.cli.logs import be_quiet
from recinfer.cli.options import as_json, config_edits, device, pipeline_config
from recinfer.cli.output import metric_pairs, print_json, print_pairs
from recinfer.cli.run import Command


@click.command("eval", cls=Command)
@pipeline_config
@click.option("--checkpoint_path", metavar="PATH", help="latest (default), best, a checkpoint, or a model folder.")
@click.option("--eval_input_path", metavar="PATH", help="The rows to measure on, in place of the config's.")
@click.option(
    "--eval_result_path",
    "--eval_result_filename",
    "eval_result_path",
    metavar="FILE",
    help="Where the metrics go as JSON. A bare name lies in the model folder. Default: eval_result.json.",
)
@device
@config_edits
@as_json("the metrics")
def evaluate(
    pipeline_config: str,
    checkpoint_path: str | None,
    eval_input_path: str | None,
    eval_result_path: str | None,
    device: str | None,
    overrides: tuple[str, ...],
    edit_config_json: str | None,
    as_json: bool,
) -> None:
    """Measure a checkpoint on a table.

    Prints the metrics that the config names, and writes them as JSON. Also: recinfer-eval, python -m recinfer.eval.
    Under torchrun all processes measure together, each on its part of the rows.
    """
    from recinfer.env import read_environment
    from recinfer.main import evaluate as measure

    rank = read_environment().rank
    if rank:
        be_quiet()

    metrics = measure(
        pipeline_config,
        checkpoint_path=checkpoint_path,
        eval_input_path=eval_input_path,
        eval_result_path=eval_result_path,
        overrides=overrides,
        edit_config_json=edit_config_json,
        device=device,
    )
    if rank:
        return
    if as_json:
        print_json(metrics)
    else:
        print_pairs(metric_pairs(metrics), indent="")


def main() -> None:
    """The console script."""
    evaluate()
