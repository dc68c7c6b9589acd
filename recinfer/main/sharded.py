"""Predicts from a checkpoint whose tables lie on all processes that ``torchrun`` has started."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from recinfer.env import Environment, hush_native_warnings, read_environment
from recinfer.main.checkpoint_model import CheckpointModel
from recinfer.main.config import PathLike
from recinfer.main.prediction import prepare_prediction
from recinfer.main.ranks import warn_of_idle
from recinfer.main.together import config_hash, in_step, own_device

if TYPE_CHECKING:
    import torch
    import torch.distributed as dist

    from recinfer.distributed.plan_table import PlanRow
    from recinfer.distributed.store import Board
    from recinfer.predict.job import PredictOptions, PredictSummary, Prepared
    from recinfer.predict.pipeline import OnProgress
    from recinfer.predict.sharded_scorer import ShardedScorer


@dataclass(frozen=True)
class Built:
    """This process's part of the model.

    Attributes:
        scorer: scores with it.
        steps: the group in which processes agree on steps.
        close: leaves the process groups.
    """

    scorer: ShardedScorer
    steps: dist.ProcessGroup
    close: Callable[[], None]


def predict_sharded(
    find: Callable[[], CheckpointModel],
    predict_input_path: str,
    predict_output_path: PathLike,
    options: PredictOptions,
    *,
    device: str | None = None,
    dataset_type: str | None = None,
    on_plan: Callable[[list[PlanRow]], None] = lambda rows: None,
    watch: Callable[[Prepared], AbstractContextManager[OnProgress | None]] = lambda prepared: nullcontext(),
    began: float | None = None,
) -> PredictSummary | None:
    """Scores a table with all processes of the job, each of which holds a part of the tables.

    Rows and part files are those of one process; scores are equal to rounding.

    Args:
        find: finds config and checkpoint; called once the processes have met.
        device: ``cpu`` or ``cuda``; None for a GPU of its own where the machine has any.
        on_plan: on rank 0, told where the tables lie.
        watch: on rank 0, what shows progress.
        began: ``time.perf_counter()`` at the user's call.

    Returns:
        The totals, on rank 0; None elsewhere.

    Raises:
        RecinferError: on rank 0, what went wrong on any rank; the folder can be resumed.
        ToldByOtherRankError: elsewhere.
    """
    hush_native_warnings()
    from recinfer.distributed.leaving import leaving_at_once
    from recinfer.distributed.store import open_board
    from recinfer.main.fingerprint import fingerprint, quick_fingerprint
    from recinfer.predict.rank_cards import make_card
    from recinfer.predict.rank_session import open_session
    from recinfer.predict.ranks import follow, lead
    from recinfer.predict.sharded_scoring import scoring_in_step

    environment = read_environment()
    board = open_board(environment)
    # One thread takes the steps; products in a step may use more.
    threads, options = options.predict_threads, replace(options, predict_threads=1)
    summary = None
    with leaving_at_once(), open_session(board, environment.rank, environment.world_size) as session:
        with session.ending.interrupts():
            place, model = own_device(environment, device), find()
            alike = make_card(
                quick_fingerprint(model.checkpoint), options, the_config=config_hash(model.config), devices=place.type
            )
            built = in_step(
                session,
                alike["must"],
                lambda: _build(model, board, environment, place, threads, options.batch_size),
            )
            if session.leads:
                built.scorer.fingerprint = fingerprint(model.checkpoint)
                on_plan(built.scorer.plan_rows())
                prepared = prepare_prediction(
                    built.scorer, predict_input_path, predict_output_path, options, dataset_type=dataset_type
                )
        scoring = scoring_in_step(built.scorer, built.steps)
        if session.leads:
            warn_of_idle(prepared, environment.world_size)
            with watch(prepared) as on_progress:
                summary = lead(
                    session, prepared, predict_output_path, options, scoring, on_progress=on_progress, began=began
                )
        else:
            follow(session, built.scorer, options, scoring)
        # After a failure they are left as they are: one that is in use cannot be closed.
        built.close()
    return summary


def _build(
    model: CheckpointModel,
    board: Board,
    environment: Environment,
    device: torch.device,
    threads: int | None,
    step_rows: int | None,
) -> Built:
    """Builds this process's part of the model and loads its weights, straight to where they stay."""
    import torch.distributed as dist

    from recinfer.distributed.process_group import process_group
    from recinfer.distributed.sharding import shard
    from recinfer.nn.settled_tables import finish_tables, settle_tables
    from recinfer.nn.table_collections import tables_without_memory
    from recinfer.predict.sharded_pipeline import StepModel
    from recinfer.predict.sharded_scorer import ShardedScorer
    from recinfer.predict.threads import rank_threads
    from recinfer.train.checkpoint import load

    stack = ExitStack()
    group = stack.enter_context(process_group(environment, board, device))
    steps = dist.new_group(backend="gloo")
    with tables_without_memory():
        features, plain = model.build()
    settle_tables(plain)
    general = model.config.train_config.global_embedding_constraints
    module = shard(StepModel(plain), {}, group, device, general=general)
    load(module, model.checkpoint)
    finish_tables(module)
    threads = threads or rank_threads(environment.local_rank, environment.local_world_size)
    scorer = ShardedScorer(module, features, model.config.data_config, device, threads, step_rows)
    return Built(scorer, steps, stack.close)
