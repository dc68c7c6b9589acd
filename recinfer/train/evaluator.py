"""Measures a model on a table."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from torch import nn

from recinfer.data.files import output_errors
from recinfer.data.parser import Tensors
from recinfer.data.storage.clients import client_of
from recinfer.data.storage.remote_path import RemotePath
from recinfer.distributed.team import Team
from recinfer.errors import InputError, OutputError
from recinfer.models.base import Task
from recinfer.train.batches import Batch, BatchSource
from recinfer.train.losses import check_label_values
from recinfer.train.metrics import Metrics

logger = logging.getLogger(__name__)

Predict = Callable[[Tensors], Tensors]


def evaluate(
    model: nn.Module | Predict,
    tasks: Sequence[Task],
    source: BatchSource,
    *,
    eval_config: Any = None,
    device: torch.device | None = None,
    team: Team | None = None,
) -> dict[str, float]:
    """The metrics of a model over a table.

    Args:
        model: features -> predictions; set to eval mode for the time.
        tasks: say which metrics, labels and losses.
        source: the rows.
        eval_config: an ``EvalConfig`` message: ``num_steps`` (batches; 0 for all), ``log_step_count_steps``.
        device: where the model is; CPU by default.
        team: the ranks that measure together, each its part of the source; None for one.

    Returns:
        Metric -> value, keyed ``auc`` or ``auc_<task>``; NaN where it is not defined.

    Raises:
        InputError: there is no row.
        BadRowError: a label is none of its task's.
    """
    target = device or torch.device("cpu")
    limit = (eval_config.num_steps if eval_config is not None else 0) or None
    every = (eval_config.log_step_count_steps if eval_config is not None else 0) or 0
    metrics = Metrics(tasks, target, team)
    source = source.reading(tasks).first(limit)
    if not source.share.total:
        raise InputError("the evaluation input has no rows", "check eval_input_path")
    was_training = isinstance(model, nn.Module) and model.training
    if isinstance(model, nn.Module):
        model.eval()
    try:
        with closing(source.epoch()) as batches, torch.no_grad():  # type: ignore[type-var]
            _measure(model, metrics, batches, tasks, target, every)
    finally:
        if was_training and isinstance(model, nn.Module):
            model.train()
    return metrics.compute()


def _measure(
    model: nn.Module | Predict,
    metrics: Metrics,
    batches: Iterable[Batch],
    tasks: Sequence[Task],
    device: torch.device,
    every: int,
) -> None:
    rows, start = 0, time.monotonic()
    for number, batch in enumerate(batches, 1):
        check_label_values(tasks, batch.labels)
        moved = batch.to(device)
        metrics.update(model(moved.features), moved)
        rows += batch.rows
        if every and number % every == 0:
            logger.debug("evaluated %d rows, %.0f rows/s", rows, rows / max(time.monotonic() - start, 1e-9))


def write_results(path: Path | RemotePath, step: int, metrics: dict[str, float]) -> None:
    """Writes metrics as JSON: ``{"global_step": ..., "auc": ...}``; NaN becomes null.

    Raises:
        OutputError: the file cannot be written.
    """
    values = {name: None if math.isnan(value) else value for name, value in metrics.items()}
    text = json.dumps({"global_step": step, **values}, indent=2) + "\n"
    if isinstance(path, RemotePath):
        with output_errors(path):
            client_of(path).write(path.key, text.encode())
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except OSError as error:
        raise OutputError(f"the metrics cannot be written to {path}: {error.strerror}") from error
