"""Measures a checkpoint on a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recinfer.env import Environment, read_environment
from recinfer.main.config import PathLike, load_config, set_paths
from recinfer.main.model_input import choose_checkpoint, new_model, source
from recinfer.main.result_file import result_file

if TYPE_CHECKING:
    import torch

    from recinfer.distributed.store import Board
    from recinfer.models.base import Model
    from recinfer.train.batches import BatchSource


@dataclass(frozen=True)
class EvalJob:
    """What is to be measured.

    Attributes:
        config: with the user's overrides and paths.
        checkpoint: what to load.
        model: without its weights.
        rows: this process's part.
        device: where to run.
        environment: ranks.
    """

    config: Any
    checkpoint: Path
    model: Model
    rows: BatchSource
    device: torch.device
    environment: Environment

    def run(self, board: Board | None) -> dict[str, float]:
        """The metrics, the same on all ranks."""
        from recinfer.distributed.process_group import process_group
        from recinfer.distributed.sharding import shard
        from recinfer.distributed.team import Team
        from recinfer.nn.settled_tables import finish_tables, settle_tables
        from recinfer.train.checkpoint import load
        from recinfer.train.evaluator import evaluate
        from recinfer.train.learner import ModelHolder

        settings = self.config.eval_config
        with process_group(self.environment, board, self.device) as group:
            general = self.config.train_config.global_embedding_constraints
            settle_tables(self.model)
            # Nothing learns here, so tables carry no optimizer's state.
            module = shard(ModelHolder(self.model), {}, group, self.device, general=general)
            load(module, self.checkpoint, use_ema=settings.use_dense_ema)
            finish_tables(module)
            return evaluate(
                module, self.model.tasks, self.rows, eval_config=settings, device=self.device, team=Team(group)
            )


def evaluate(
    pipeline_config: PathLike,
    *,
    checkpoint_path: PathLike | None = None,
    eval_input_path: str | None = None,
    eval_result_path: PathLike | None = None,
    overrides: Sequence[str] = (),
    edit_config_json: str | None = None,
    device: str | None = None,
) -> dict[str, float]:
    """The metrics of a checkpoint over a table, also written as JSON.

    Under ``torchrun`` all processes measure one model: each on its part of the rows, with its part of the tables.

    Args:
        checkpoint_path: ``latest`` (default), ``best``, a checkpoint, or a folder of checkpoints.
        eval_result_path: by default ``eval_result.json``; a bare name lies in the model folder, as in TorchEasyRec.
        device: ``cpu``, ``cuda`` or ``cuda:n``; by default a GPU where there is one.
    """
    from recinfer.train.checkpoint_folders import step_of
    from recinfer.train.evaluator import write_results

    environment = read_environment()

    def load() -> EvalJob:
        config = load_config(pipeline_config, overrides, edit_config_json)
        set_paths(config, eval_input_path=eval_input_path)
        result_file(eval_result_path, config.model_dir)
        return _job(config, environment, checkpoint_path, device)

    def write(job: EvalJob, metrics: dict[str, float]) -> None:
        target = result_file(eval_result_path, job.config.model_dir)
        write_results(target, step_of(job.checkpoint), metrics)

    if environment.world_size == 1:
        job = load()
        metrics = job.run(None)
        write(job, metrics)
        return metrics
    from recinfer.main.fingerprint import quick_fingerprint
    from recinfer.main.together import config_hash, in_step, input_hash, joined

    with joined(environment, "evaluation") as (session, board):
        job = load()
        alike = {
            "the config": config_hash(job.config),
            "the checkpoint": quick_fingerprint(job.checkpoint),
            "the evaluation input": input_hash(job.rows.reader),
            "devices": job.device.type,
        }
        metrics = in_step(session, alike, lambda: job.run(board))
        if session.leads:
            write(job, metrics)
    return metrics


def _job(config: Any, environment: Environment, wanted: PathLike | None, device: str | None) -> EvalJob:
    from recinfer.main.together import own_device
    from recinfer.nn.table_collections import tables_without_memory

    chosen = own_device(environment, device)
    checkpoint = choose_checkpoint(config, wanted)
    with tables_without_memory():
        features, model = new_model(config)
    rows = source(config, model, features, config.eval_input_path, training=False, environment=environment)
    return EvalJob(config, checkpoint, model, rows, chosen, environment)
