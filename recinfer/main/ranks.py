"""Predicts with the processes that ``torchrun`` has started."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from recinfer.env import read_environment
from recinfer.main.config import PathLike
from recinfer.main.prediction import prepare_prediction

if TYPE_CHECKING:
    from recinfer.predict.job import PredictOptions, PredictSummary, Prepared
    from recinfer.predict.pipeline import OnProgress
    from recinfer.predict.scorer import Scorer

logger = logging.getLogger(__name__)


def predict_on_ranks(
    load: Callable[[], Scorer],
    predict_input_path: str,
    predict_output_path: PathLike,
    options: PredictOptions,
    *,
    dataset_type: str | None = None,
    watch: Callable[[Prepared], AbstractContextManager[OnProgress | None]] = lambda prepared: nullcontext(),
    began: float | None = None,
) -> PredictSummary | None:
    """Scores a table with all processes of the job; the output is that of one process, byte for byte.

    Args:
        load: loads the scorer; called once the processes have met.
        watch: on rank 0, what shows progress.
        began: ``time.perf_counter()`` at the user's call.

    Returns:
        The totals, on rank 0; None elsewhere.

    Raises:
        RecinferError: on rank 0, what went wrong on any rank; the folder can be resumed.
        ToldByOtherRankError: elsewhere.
    """
    from recinfer.distributed.store import open_board
    from recinfer.predict.rank_cards import make_card
    from recinfer.predict.rank_gathering import gather
    from recinfer.predict.rank_session import open_session
    from recinfer.predict.ranks import follow, lead
    from recinfer.predict.threads import rank_threads

    environment = read_environment()
    threads = options.predict_threads or rank_threads(environment.local_rank, environment.local_world_size)
    options = replace(options, predict_threads=threads)
    board = open_board(environment)
    with open_session(board, environment.rank, environment.world_size) as session:
        with session.ending.interrupts():
            scorer = load()
            if session.leads:
                prepared = prepare_prediction(
                    scorer, predict_input_path, predict_output_path, options, dataset_type=dataset_type
                )
        gather(session, make_card(scorer.fingerprint, options))
        if not session.leads:
            follow(session, scorer, options)
            return None
        warn_of_idle(prepared, environment.world_size)
        with watch(prepared) as on_progress:
            return lead(session, prepared, predict_output_path, options, on_progress=on_progress, began=began)


def warn_of_idle(prepared: Prepared, world_size: int) -> None:
    """Says so where some processes will have nothing to do."""
    units, rows = len(prepared.plan.units), prepared.plan.rows
    if world_size > units:
        logger.warning(
            "%d processes for %s in %s: %d will have nothing to do",
            world_size,
            f"{rows:,} row" + "s" * (rows != 1),
            f"{units:,} unit" + "s" * (units != 1),
            world_size - units,
        )
