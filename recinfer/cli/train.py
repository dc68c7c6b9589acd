"""``recinfer train``."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from recinfer.cli.logs import be_quiet, seconds_since_last_line
from recinfer.cli.options import NOT_NEGATIVE, as_json, config_edits, device, pipeline_config
from recinfer.cli.output import count, duration, metric_pairs, print_json, print_pairs
from recinfer.cli.run import Command

if TYPE_CHECKING:
    from recinfer.train.reports import StepResult, TrainReport

# The config says how often training logs a step; where that is rare, a line comes at least so often.
LONGEST_SILENCE = 10.0


@click.command(cls=Command, when_stopped="the same command goes on from the latest checkpoint in model_dir")
@pipeline_config
@click.option("--train_input_path", metavar="PATH", help="The rows to learn from, in place of the config's.")
@click.option("--eval_input_path", metavar="PATH", help="The rows to measure on, in place of the config's.")
@click.option("--model_dir", metavar="FOLDER", help="Where checkpoints go, in place of the config's.")
@click.option(
    "--seed",
    type=NOT_NEGATIVE,
    metavar="N",
    default=0,
    show_default=True,
    help="Decides the first parameters, the order of rows, and dropout.",
)
@device
@config_edits
@as_json("the report")
def train(
    pipeline_config: str,
    train_input_path: str | None,
    eval_input_path: str | None,
    model_dir: str | None,
    seed: int,
    device: str | None,
    overrides: tuple[str, ...],
    edit_config_json: str | None,
    as_json: bool,
) -> None:
    """Train a model, and evaluate it.

    Goes on from the latest checkpoint in the model folder where there is one. Also: recinfer-train,
    python -m recinfer.train. Under torchrun (torchrun --nproc-per-node=N -m recinfer.train ...) all processes train one
    model, each on its part of the rows, with its part of the tables.
    """
    from recinfer.cli.plan_table import print_plan
    from recinfer.env import read_environment
    from recinfer.main import train_and_evaluate

    environment = read_environment()
    if environment.rank:
        be_quiet()

    report = train_and_evaluate(
        pipeline_config,
        train_input_path=train_input_path,
        eval_input_path=eval_input_path,
        model_dir=model_dir,
        overrides=overrides,
        edit_config_json=edit_config_json,
        seed=seed,
        device=device,
        on_step=StepLines(),
        on_plan=print_plan if environment.world_size > 1 else None,
    )
    if environment.rank:
        return
    if as_json:
        print_json(asdict(report))
    else:
        _print_report(report)


class StepLines:
    """Prints the first step, and later ones where the log has been silent for long."""

    def __init__(self) -> None:
        self._rows = 0
        self._since: float | None = None
        self._last = float("-inf")

    def __call__(self, result: StepResult) -> None:
        """Called after each step."""
        now = time.monotonic()
        self._rows += result.rows
        if min(now - self._last, seconds_since_last_line()) < LONGEST_SILENCE:
            return
        speed = f"; {self._rows / (now - self._since):,.0f} rows/s" if self._since is not None else ""
        rates = ", ".join(f"{name} {rate:.3g}" for name, rate in result.rates.items())
        loss = float(result.loss)
        click.echo(f"step {result.step}, epoch {result.epoch}: total {loss:.5f}; lr {rates}{speed}", err=True)
        self._last = self._since = now
        self._rows = 0


def _print_report(report: TrainReport) -> None:
    speed = f", {report.rows / report.seconds:,.0f} rows/s" if report.seconds else ""
    click.echo(
        f"done: step {report.step}, epoch {report.epoch}; "
        f"{count(report.rows, 'row')} in {duration(report.seconds)}{speed}, evaluations included"
    )
    loss = [] if report.loss is None else [("loss of the last step", f"{report.loss:.6f}")]
    print_pairs([("checkpoint", str(report.checkpoint)), *loss, *metric_pairs(report.metrics)])


def main() -> None:
    """The console script."""
    train()
