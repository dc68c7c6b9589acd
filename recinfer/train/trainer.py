"""Training a model on a table, as a pipeline config says."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from recinfer.distributed.process_group import process_group
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


def train(
    config: Any,
    model: Model,
    train_source: BatchSource,
    eval_source: BatchSource | None = None,
    *,
    model_dir: str | Path | None = None,
    device: torch.device | None = None,
    environment: Environment | None = None,
    on_step: Callable[[StepResult], None] | None = None,
) -> TrainReport:
    """Trains a model as a pipeline config says, going on from the latest checkpoint in the model folder.

    Args:
        config: an ``EasyRecConfig`` message; ``train_config`` and ``eval_config`` are used.
        model: a new model; it is changed (its tables become sharded), so load the checkpoint into a fresh one after.
        train_source: rows to learn from; its seed also decides dropout.
        eval_source: rows to measure on at each checkpoint and at the end; None for no evaluation.
        model_dir: in place of ``config.model_dir``.
        device: CPU by default.
        environment: what the process was started with; a single process by default.
        on_step: called after each update.

    Raises:
        ConfigError: a setting, loss, metric or optimizer does not run here.
        InputError: there are no rows to train on.
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
    if train_source.batches_per_epoch == 0:
        raise InputError("the training input has no rows, or fewer than a batch with drop_remainder")
    folder = _model_folder(model_dir or config.model_dir)
    with process_group(environment or Environment()) as group:
        _allow_tf32(config.train_config, target, environment or Environment())
        learner = Learner(model, config.train_config, settings, group, target, pareto=pareto)
        return Loop(config, learner, train_source, eval_source, folder, on_step).run()


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
