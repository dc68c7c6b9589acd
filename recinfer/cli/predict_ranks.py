"""``torchrun ... -m recinfer.predict``: every process runs this; rank 0 alone speaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from recinfer.cli.logs import be_quiet
from recinfer.cli.output import print_json

if TYPE_CHECKING:
    from recinfer.predict.job import PredictOptions
    from recinfer.predict.scorer import Scorer


def run_on_ranks(
    load: Callable[[], Scorer],
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
    from recinfer.cli.progress import show_progress
    from recinfer.cli.summary import print_summary
    from recinfer.main.ranks import predict_on_ranks

    if rank:
        be_quiet()
    summary = predict_on_ranks(
        load,
        input_path,
        output,
        options,
        dataset_type=dataset_type,
        watch=lambda prepared: show_progress(prepared, quiet, ranks),
        began=began,
    )
    if summary is None:
        return
    if as_json:
        print_json(summary.to_json())
    elif not quiet:
        print_summary(summary, options.profile_dir)
