"""``recinfer predict``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recinfer.cli.logs import be_quiet
from recinfer.cli.options import (
    AT_LEAST_ONE,
    DATASET_TYPES,
    NOT_NEGATIVE,
    WRITER_TYPES,
    Choice,
    NameList,
    as_json,
    check_signature,
    fallback,
    signature,
)
from recinfer.cli.output import print_json
from recinfer.cli.predict_model import ChosenModel, chosen_model
from recinfer.cli.run import Command

if TYPE_CHECKING:
    from recinfer.predict.job import PredictOptions, Prepared


@click.command(cls=Command, when_stopped="nothing that was done is lost: the same command goes on from here")
@chosen_model
@click.option(
    "--predict_input_path", required=True, metavar="PATH", help="A file, folder, glob or comma list, of URIs too."
)
@click.option(
    "--predict_output_path", metavar="FOLDER", help="Complete once it holds _SUCCESS. Required but for --dry-run."
)
@click.option("--reserved_columns", type=NameList(), help="Input columns to carry over, or ALL_COLUMNS.")
@click.option("--output_columns", type=NameList(), help="Predictions to write. Default: all.")
@click.option(
    "--batch_size",
    type=AT_LEAST_ONE,
    metavar="ROWS",
    help="Rows per read; scores depend on it in their last digits at most.",
)
@click.option(
    "--predict_threads",
    type=AT_LEAST_ONE,
    metavar="N",
    help="Scorer threads. Default: RECINFER_PREDICT_THREADS, else one per core; under torchrun the local processes "
    "share the cores.",
)
@click.option("--predict_steps", type=AT_LEAST_ONE, metavar="N", help="Score only the first N batches of rows.")
@click.option(
    "--device",
    metavar="DEVICE",
    help="cpu, cuda or cuda:n. Default: what an export was made for, and for a checkpoint a GPU where there is one.",
)
@click.option("--dataset_type", type=DATASET_TYPES, help="Default: by the files' suffixes.")
@click.option("--writer_type", type=WRITER_TYPES, default="ParquetWriter", show_default=True, help="Of the part files.")
@click.option(
    "--is_profiling",
    is_flag=True,
    help="Write a trace and a table of stage times to OUTPUT.profile, beside the output.",
)
@click.option(
    "--debug_level",
    type=click.IntRange(0, 1),
    metavar="N",
    default=0,
    show_default=True,
    help="1: put the parsed features beside the scores.",
)
@click.option("--dry-run", is_flag=True, help="Show the plan and score one batch; writes nothing.")
@click.option(
    "--resume/--no-resume", default=True, show_default=True, help="Whether to go on with output that is there."
)
@click.option("--overwrite", is_flag=True, help="Replace output that is there, once the new one is complete.")
@click.option(
    "--on-error",
    type=Choice(["fail", "quarantine"]),
    default="fail",
    show_default=True,
    help="What a row that cannot be used does: end the run, or go to _quarantine/ with its reason and position.",
)
@click.option("--max-bad-rows", type=NOT_NEGATIVE, metavar="N", help="With quarantine: more bad rows end the run.")
@fallback
@signature
@as_json("the summary")
@click.option("--quiet", is_flag=True, help="Print no progress and no summary.")
def predict(
    scripted_model_path: str | None,
    pipeline_config: str | None,
    predict_input_path: str,
    predict_output_path: str | None,
    dataset_type: str | None,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    **settings: Any,
) -> None:
    """Score a table with an export or a checkpoint.

    A run that was stopped, or killed, goes on when the same command runs again; the output is the same as without.
    Also: recinfer-predict, python -m recinfer.predict, torchrun ... -m recinfer.predict for many processes.
    """
    began = time.perf_counter()
    model = ChosenModel(scripted_model_path, pipeline_config, settings)
    model.check()
    _check_flags(predict_output_path, dry_run, settings)
    if quiet:
        be_quiet()
    options = _options(predict_output_path, settings)
    from recinfer.cli.predict_ranks import run_on_ranks
    from recinfer.env import read_environment
    from recinfer.main import prepare_prediction

    environment = read_environment()
    if environment.world_size > 1:
        if predict_output_path is not None and not dry_run:
            run_on_ranks(
                model,
                predict_input_path,
                predict_output_path,
                options,
                dataset_type=dataset_type,
                rank=environment.rank,
                ranks=environment.world_size,
                began=began,
                as_json=as_json,
                quiet=quiet,
            )
            return
        if environment.rank:
            return
    scorer = model.load()
    prepared = prepare_prediction(scorer, predict_input_path, predict_output_path, options, dataset_type=dataset_type)
    if dry_run or predict_output_path is None:
        from recinfer.cli.dry_run import show_plan

        show_plan(prepared, predict_output_path, options, as_json)
        return
    _run(prepared, predict_output_path, options, began, as_json, quiet)


def _check_flags(output: str | None, dry_run: bool, settings: dict[str, Any]) -> None:
    """Refuses what is missing or contradicts itself, before anything heavy is imported."""
    if output is None and not dry_run:
        raise click.UsageError("Missing option '--predict_output_path'; only --dry-run does without.")
    if settings["max_bad_rows"] is not None and settings["on_error"] != "quarantine":
        raise click.UsageError("--max-bad-rows asks for --on-error quarantine.")
    if settings["overwrite"] and not output:
        raise click.UsageError("--overwrite asks for --predict_output_path.")
    check_signature(settings["require_signature"], settings["public_key"])


def _options(output: str | None, settings: dict[str, Any]) -> PredictOptions:
    from recinfer.env import limit_library_threads, read_environment

    # One core per scorer thread: the libraries' own threads would only get in their way.
    limit_library_threads(1)
    from recinfer.predict.job import PredictOptions

    return PredictOptions(
        reserved_columns=settings["reserved_columns"] or (),
        output_columns=settings["output_columns"],
        batch_size=settings["batch_size"],
        predict_threads=settings["predict_threads"] or read_environment().predict_threads,
        predict_steps=settings["predict_steps"],
        writer=settings["writer_type"],
        resume=settings["resume"],
        overwrite=settings["overwrite"],
        quarantine=settings["on_error"] == "quarantine",
        max_bad_rows=settings["max_bad_rows"],
        profile_dir=profile_folder(output) if settings["is_profiling"] and output else None,
        debug=settings["debug_level"] > 0,
    )


def profile_folder(output: str) -> Path:
    """Beside the output; for one in an object store, in the current folder."""
    if "://" in output:
        output = output.partition("?")[0].rstrip("/").rpartition("/")[2]
    return Path(f"{output.rstrip('/')}.profile")


def _run(prepared: Prepared, output: str, options: PredictOptions, began: float, as_json: bool, quiet: bool) -> None:
    from recinfer.cli.progress import show_progress
    from recinfer.cli.summary import print_summary
    from recinfer.predict.job import run

    with show_progress(prepared, quiet) as on_progress:
        summary = run(prepared, output, options, on_progress=on_progress, began=began)
    if as_json:
        print_json(summary.to_json())
    elif not quiet:
        print_summary(summary, options.profile_dir)


def main() -> None:
    """The console script."""
    predict()
