"""``torchrun ... -m recinfer.predict``: every process runs this; rank 0 alone speaks."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from recinfer.cli.logs import be_quiet
from recinfer.cli.output import print_json
from recinfer.cli.predict_model import ChosenModel

if TYPE_CHECKING:
    from recinfer.predict.job import PredictOptions, PredictSummary, Prepared
    from recinfer.predict.pipeline import OnProgress


def run_on_ranks(
    model: ChosenModel,
    input_path: str,
    output: str,
    options: PredictOptions,
    *,
    dataset_type: str | None,
    rank: int,
    ranks: int,
    began: float,
    as_json: bool,
    quiet: bool,
) -> None:
    """Predicts with all processes of the job; rank 0 shows progress and the summary."""
    from recinfer.cli.plan_table import print_plan
    from recinfer.cli.progress import show_progress
    from recinfer.cli.summary import print_summary
    from recinfer.main.ranks import predict_on_ranks
    from recinfer.main.sharded import predict_sharded

    if rank:
        be_quiet()

    def watch(prepared: Prepared) -> AbstractContextManager[OnProgress | None]:
        return show_progress(prepared, quiet, ranks)

    summary: PredictSummary | None
    if model.is_sharded:
        show = (lambda rows: None) if quiet else print_plan
        summary = predict_sharded(
            model.find,
            input_path,
            output,
            options,
            device=model.settings["device"],
            dataset_type=dataset_type,
            on_plan=show,
            watch=watch,
            began=began,
        )
    else:
        summary = predict_on_ranks(
            model.load, input_path, output, options, dataset_type=dataset_type, watch=watch, began=began
        )
    if summary is None:
        return
    if as_json:
        print_json(summary.to_json())
    elif not quiet:
        print_summary(summary, options.profile_dir)
