"""Trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recinfer.env import Environment, read_environment
from recinfer.main.config import PathLike, load_config, set_paths
from recinfer.main.model_input import need_model_dir, new_model, source

if TYPE_CHECKING:
    import torch

    from recinfer.distributed.plan_table import PlanRow
    from recinfer.distributed.store import Board
    from recinfer.models.base import Model
    from recinfer.train.batches import BatchSource
    from recinfer.train.model_mirror import ModelMirror
    from recinfer.train.reports import StepResult, TrainReport


@dataclass(frozen=True)
class TrainJob:
    """What is to be trained, with everything looked at that can be before it begins.

    Attributes:
        config: with the user's overrides and paths.
        model: new, its tables without memory.
        train_source, eval_source: this process's part of the rows.
        device: where to train.
        environment: ranks.
        mirror: the local folder of a ``model_dir`` in an object store; None for a local one.
    """

    config: Any
    model: Model
    train_source: BatchSource
    eval_source: BatchSource | None
    device: torch.device
    environment: Environment
    mirror: ModelMirror | None = None

    def run(
        self,
        board: Board | None,
        on_step: Callable[[StepResult], None] | None,
        on_plan: Callable[[list[PlanRow]], None] | None,
    ) -> TrainReport:
        """Trains to the end; rank 0 tells what happens."""
        from recinfer.config.save import save_pipeline_config
        from recinfer.train.trainer import train

        leads, mirror = self.environment.rank == 0, self.mirror
        folder = Path(self.config.model_dir) if mirror is None else mirror.folder
        if leads:
            save_pipeline_config(self.config, folder / "pipeline.config")
        report = train(
            self.config,
            self.model,
            self.train_source,
            self.eval_source,
            model_dir=folder,
            device=self.device,
            environment=self.environment,
            board=board,
            on_step=on_step if leads else None,
            on_saved=mirror.push if mirror is not None and leads else None,
            on_plan=on_plan if leads else None,
        )
        return report if mirror is None else mirror.at_home(report)


def train_and_evaluate(
    pipeline_config: PathLike,
    *,
    train_input_path: str | None = None,
    eval_input_path: str | None = None,
    model_dir: PathLike | None = None,
    overrides: Sequence[str] = (),
    edit_config_json: str | None = None,
    seed: int = 0,
    device: str | None = None,
    on_step: Callable[[StepResult], None] | None = None,
    on_plan: Callable[[list[PlanRow]], None] | None = None,
) -> TrainReport:
    """Trains a model, going on from its latest checkpoint, and evaluates it; saves the config beside the checkpoints.

    Under ``torchrun`` all processes train one model: each learns from its part of the rows, ``batch_size`` of them at
    a step, and holds its part of the tables.

    Args:
        device: ``cpu``, ``cuda`` or ``cuda:n``; by default a GPU where there is one.
        on_step: called after each update, on rank 0.
        on_plan: called on rank 0 with where the tables lie.

    Raises:
        ConfigError, InputError, BadRowError, ModelError, OutputError: see :func:`recinfer.train.trainer.train`.
        RankError: a process was lost, or the processes do not fit each other.
    """
    environment = read_environment()

    def load() -> TrainJob:
        config = load_config(pipeline_config, overrides, edit_config_json)
        set_paths(config, train_input_path=train_input_path, eval_input_path=eval_input_path, model_dir=model_dir)
        return _job(config, environment, seed, device)

    if environment.world_size == 1:
        return load().run(None, on_step, on_plan)
    from recinfer.main.together import config_hash, in_step, input_hash, joined

    with joined(environment, "training") as (session, board):
        job = load()
        alike = {
            "the config": config_hash(job.config),
            "the training input": input_hash(job.train_source.reader),
            "the evaluation input": input_hash(job.eval_source.reader if job.eval_source else None),
            "devices": job.device.type,
            "the seed": str(seed),
        }
        report = in_step(session, alike, lambda: job.run(board, on_step, on_plan))
    return report


def _job(config: Any, environment: Environment, seed: int, device: str | None) -> TrainJob:
    from recinfer.config.problems import raise_problems
    from recinfer.main.together import own_device
    from recinfer.nn.table_collections import tables_without_memory
    from recinfer.train.readiness import training_problems

    chosen = own_device(environment, device)
    # Before the model is built, whose tables may take minutes.
    need_model_dir(config)
    raise_problems(training_problems(config, chosen.type))
    with tables_without_memory():
        features, model = new_model(config, seed)
    rows = source(config, model, features, config.train_input_path, training=True, seed=seed, environment=environment)
    measured = None
    if config.eval_input_path:
        measured = source(config, model, features, config.eval_input_path, training=False, environment=environment)
    return TrainJob(config, model, rows, measured, chosen, environment, _mirror(config, environment))


def _mirror(config: Any, environment: Environment) -> ModelMirror | None:
    """Brings a remote model folder here, before ranks meet: that may take longer than they wait for each other."""
    from recinfer.data.storage.remote_path import is_remote, parse_remote
    from recinfer.train.model_mirror import ModelMirror

    if not is_remote(config.model_dir):
        return None
    mirror = ModelMirror(parse_remote(config.model_dir), config.train_config.keep_checkpoint_max)
    if environment.rank == 0:
        mirror.pull()
    return mirror
