"""Training a model on a table, as a pipeline config says."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from recinfer.distributed.plan_table import PlanRow, plan_rows
from recinfer.distributed.process_group import process_group
from recinfer.distributed.store import Board
from recinfer.distributed.team import Team
from recinfer.env import Environment
from recinfer.errors import ConfigError, InputError, OutputError
from recinfer.models.base import Model
from recinfer.train.batches import BatchSource
from recinfer.train.learner import Learner
from recinfer.train.loop import Loop
from recinfer.train.losses import check_losses
from recinfer.train.metrics import Metrics
from recinfer.train.optimizer_kinds import check_optimizers
from recinfer.train.pareto import least_weights
from recinfer.train.reports import StepResult, TrainReport
from recinfer.train.settings import read_settings
from recinfer.train.shared_folder import check_shared


def train(
    config: Any,
    model: Model,
    train_source: BatchSource,
    eval_source: BatchSource | None = None,
    *,
    model_dir: str | Path | None = None,
    device: torch.device | None = None,
    environment: Environment | None = None,
    board: Board | None = None,
    on_step: Callable[[StepResult], None] | None = None,
    on_saved: Callable[[], None] | None = None,
    on_plan: Callable[[list[PlanRow]], None] | None = None,
) -> TrainReport:
    """Trains a model as a pipeline config says, going on from the latest checkpoint in the model folder.

    Args:
        config: an ``EasyRecConfig`` message; ``train_config`` and ``eval_config`` are used.
        model: a new model; it is changed (its tables become sharded), so load the checkpoint into a fresh one after.
            Tables without memory get their first weights from the seed of ``train_source``.
        train_source: rows to learn from; its seed also decides dropout.
        eval_source: rows to measure on at each checkpoint and at the end; None for no evaluation.
        model_dir: in place of ``config.model_dir``.
        device: CPU by default.
        environment: what the process was started with; a single process by default.
        board: of the processes, where there are several.
        on_step: called after each update.
        on_saved: called on rank 0 when the model folder has changed.
        on_plan: called with where the tables lie.

    Raises:
        ConfigError: a setting, loss, metric or optimizer does not run here.
        InputError: there are no rows to train on, or fewer than ranks.
        BadRowError: a label or feature value cannot be used.
        ModelError: a checkpoint to go on from, or to fine-tune, does not fit.
        StageError: the loss is no longer a number.
        OutputError: the model folder or a checkpoint cannot be written.
    """
    target = device or torch.device("cpu")
    settings = read_settings(config.train_config)
    check_optimizers(config.train_config, target.type)
    pareto = config.model_config.use_pareto_loss_weight
    if pareto:
        least_weights(model.training_tasks)
    check_losses(model.training_tasks)
    Metrics(model.tasks)
    train_source = train_source.reading(model.training_tasks)
    eval_source = eval_source.reading(model.tasks) if eval_source is not None else None
    _check_rows(train_source)
    folder = _model_folder(model_dir or config.model_dir)
    with process_group(environment or Environment(), board, target) as group:
        check_shared(Team(group), folder)
        _allow_tf32(config.train_config, target, environment or Environment())
        seed = train_source.seed
        learner = Learner(model, config.train_config, settings, group, target, pareto=pareto, seed=seed)
        if on_plan is not None:
            on_plan(plan_rows(learner.module.plan, model, group.size()))
        return Loop(config, learner, train_source, eval_source, folder, on_step, on_saved).run()


def _check_rows(source: BatchSource) -> None:
    rows, ranks = source.share.total, source.share.ranks
    if 0 < rows < ranks:
        raise InputError(
            f"the training input has {rows} row{'s' * (rows != 1)} for {ranks} ranks, and each needs one",
            f"use at most {rows} process{'es' * (rows != 1)}",
        )
    if source.batches_per_epoch == 0:
        raise InputError("the training input has no rows, or fewer than a batch on each rank with drop_remainder")


def _model_folder(path: str | Path) -> Path:
    """Makes the folder and writes to it once, so that hours of training do not end at a read-only disk."""
    if not str(path):
        raise ConfigError("the config has no model_dir", "set model_dir")
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise OutputError(f"model_dir {folder} cannot be written: {error}", "choose another model_dir") from error


def _allow_tf32(config: Any, device: torch.device, environment: Environment) -> None:
    """As the environment says, else the config."""
    if device.type == "cuda":
        cudnn, matmul = environment.cudnn_allow_tf32, environment.cuda_matmul_allow_tf32
        torch.backends.cudnn.allow_tf32 = config.cudnn_allow_tf32 if cudnn is None else cudnn
        torch.backends.cuda.matmul.allow_tf32 = config.cuda_matmul_allow_tf32 if matmul is None else matmul


__all__ = ["StepResult", "TrainReport", "train"]
