"""The training loop: steps, epochs, checkpoints and evaluations, from start or from where a run stopped."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import torch

from recinfer import interrupts
from recinfer.data.parser import Tensors
from recinfer.distributed.team import Team, statistics
from recinfer.errors import StageError
from recinfer.train.batches import Batch, BatchSource
from recinfer.train.checkpoint import Position, delete_old, load_training, newest, save
from recinfer.train.checkpoint_folders import record_results
from recinfer.train.evaluator import evaluate, write_results
from recinfer.train.learner import Learner
from recinfer.train.losses import check_label_values
from recinfer.train.profiling import step_profiler
from recinfer.train.reports import StepResult, TrainReport
from recinfer.train.settings import TrainSettings
from recinfer.train.summaries import Summaries
from recinfer.train.train_metrics import TrainMetrics
from recinfer.train.warm_start import warm_start
from recinfer.train.warm_start_names import read_name_map

logger = logging.getLogger(__name__)
RESULT = "train_eval_result.json"
PASS_MIXED = "some rows are learnt twice in it, and others not"


@dataclass
class Loop:
    """One run of training.

    Args:
        config: an ``EasyRecConfig`` message.
        learner: the model with its optimizers.
        source: rows to learn from.
        eval_source: rows to measure on, or None.
        folder: the model folder.
        on_step: called after each update, or None.
        on_saved: called on rank 0 when the model folder has changed.
    """

    config: Any
    learner: Learner
    source: BatchSource
    eval_source: BatchSource | None
    folder: Path
    on_step: Callable[[StepResult], None] | None
    on_saved: Callable[[], None] | None = None
    position: Position = field(default_factory=Position)
    metrics: dict[str, float] = field(default_factory=dict)
    rows: int = 0
    loss: float | None = None
    last: torch.Tensor | None = None
    saved: Path | None = None

    def run(self) -> TrainReport:
        """Trains to the end."""
        started = time.monotonic()
        resumed = self._start()
        settings = self.learner.settings
        train_metrics = TrainMetrics(self.learner.tasks, self.learner.device)
        with ExitStack() as stack:
            self.summaries = Summaries(self.folder, settings.summaries if self.team.leads else (), self.position.step)
            stack.callback(self.summaries.close)
            self.summaries.watch(self.learner)
            profiled = stack.enter_context(step_profiler(settings.profile and self.team.leads, self.folder))
            for epoch in count(self.position.epoch):
                if self._is_done(settings):
                    break
                self._epoch(epoch, settings, train_metrics, profiled)
            self.learner.flush()
            if self.saved is None or not self.metrics:
                self._checkpoint()
        assert self.saved is not None
        seconds = time.monotonic() - started
        position = self.position
        if self.metrics and self.team.leads:
            write_results(self.folder / RESULT, position.step, self.metrics)
            if self.on_saved is not None:
                self.on_saved()
        rows = int(self.team.total(self.rows))
        loss = None if self.loss is None else self.team.total(self.loss) / self.team.size
        return TrainReport(position.step, position.epoch, rows, seconds, loss, self.metrics, self.saved, resumed)

    @property
    def team(self) -> Team:
        """The ranks that train together."""
        return self.learner.team

    def _start(self) -> Path | None:
        fingerprint = config_fingerprint(self.config)
        self.position = Position(config_fingerprint=fingerprint, seed=self.source.seed, ranks=self.team.size)
        found = self.team.tell(newest(self.folder) if self.team.leads else None)
        if found is not None:
            old = load_training(self.learner.state, found)
            if self.team.leads:
                self._warn_of_changes(old, found)
            here = old.on(self.team.size)
            self.position = replace(here, config_fingerprint=fingerprint, seed=self.source.seed)
            if self.learner.scaler is not None and old.grad_scaler:
                self.learner.scaler.load_state_dict(old.grad_scaler)
            self.saved = found
            logger.info("going on from %s: step %d, epoch %d", found, old.step, old.epoch)
            return found
        train_config = self.config.train_config
        if train_config.fine_tune_checkpoint:
            renamed = train_config.fine_tune_ckpt_param_map
            names = read_name_map(renamed) if renamed else {}
            used = warm_start(self.learner.module, train_config.fine_tune_checkpoint, names)
            if self.learner.averages is not None:
                self.learner.averages.restart()
            logger.info("fine-tuning %s", used)
        return None

    def _warn_of_changes(self, old: Position, found: Path) -> None:
        here, ranks = self.position, self.team.size
        if old.config_fingerprint not in ("", here.config_fingerprint):
            logger.warning("going on from %s, which was trained with another config", found)
        if old.seed != here.seed:
            logger.warning("going on with seed %d, it was %d so far", here.seed, old.seed)
        if old.batch and old.ranks != ranks:
            logger.warning("%d ranks go on in the middle of a pass of %d: %s", ranks, old.ranks, PASS_MIXED)

    def _is_done(self, settings: TrainSettings) -> bool:
        steps, epochs = settings.num_steps, settings.num_epochs
        return (steps is not None and self.position.step >= steps) or (
            epochs is not None and self.position.epoch >= epochs
        )

    def _epoch(
        self, epoch: int, settings: TrainSettings, train_metrics: TrainMetrics, profiled: Callable[[], None]
    ) -> None:
        clock = _Clock()
        batches: Iterator[Batch] = self.source.epoch(epoch, self.position.batch)
        with closing(batches):  # type: ignore[type-var]
            for batch in batches:
                interrupts.check()
                self._step(batch, epoch, settings, train_metrics, clock)
                profiled()
                if settings.save_steps and self.position.step % settings.save_steps == 0:
                    self._checkpoint()
                if settings.num_steps is not None and self.position.step >= settings.num_steps:
                    break
        if self.position.batch < self.source.batches_per_epoch:
            return
        self.position = replace(self.position, epoch=epoch + 1, batch=0)
        if settings.save_epochs and (epoch + 1) % settings.save_epochs == 0:
            self._checkpoint()

    def _step(
        self, batch: Batch, epoch: int, settings: TrainSettings, train_metrics: TrainMetrics, clock: _Clock
    ) -> None:
        learner, step = self.learner, self.position.step
        check_label_values(learner.tasks, batch.labels)
        # Dropout follows from seed and step alone, so that a resumed run draws what an uninterrupted one does.
        torch.manual_seed(((self.position.seed * 1_000_003 + step) ^ (self.team.rank << 40)) % (1 << 63))
        rates = learner.set_rates(step, epoch)
        moved = batch.to(learner.device)
        loss, parts, predictions = learner.forward(moved)
        log = (step + 1) % settings.log_steps == 0
        if log:
            self.summaries.expect(step + 1)
        self.last = loss.detach()
        if log or learner.device.type == "cpu":
            self._check_loss(step + 1)
        learner.backward(loss)
        train_metrics.update(predictions, moved)
        self.position = replace(self.position, step=step + 1, batch=self.position.batch + 1)
        self.saved = None
        self.metrics = {}
        self.rows += batch.rows
        clock.rows += batch.rows * self.team.size
        values = self._values(loss, parts) if log else {}
        if log and self.team.leads:
            shown = train_metrics.compute()
            self.summaries.step(step + 1, values, rates)
            self.summaries.metrics(step + 1, shown, "train")
            _log(step + 1, epoch, values | shown, rates, clock.rate())
        if self.on_step is not None:
            self.on_step(StepResult(step + 1, epoch, batch.rows * self.team.size, loss.detach(), rates))

    def _check_loss(self, step: int) -> None:
        """Raises StageError where the last loss is no number."""
        if self.last is not None:
            self.loss = _finite(self.last, step)

    def _values(self, loss: torch.Tensor, parts: Tensors) -> dict[str, float]:
        """Total loss and parts, the means over ranks."""
        names = ["total", *parts]
        values = torch.stack([each.detach().float().reshape(()) for each in (loss, *parts.values())])
        self.team.average([values])
        return dict(zip(names, values.tolist(), strict=True))

    def _checkpoint(self) -> None:
        """Saves, measures and records; a checkpoint that is there already is only measured."""
        self.learner.flush()
        if self.saved is None:
            # On GPUs the loss is looked at now and then only, and what it has spoilt must not be kept.
            self._check_loss(self.position.step)
            self.team.average(statistics(self.learner.module))
            scaler = self.learner.scaler
            position = replace(self.position, grad_scaler=dict(scaler.state_dict()) if scaler is not None else None)
            self.saved = save(self.learner.state, position, self.folder)
            logger.info("saved %s", self.saved)
        if self.eval_source is not None:
            self.metrics = self._evaluate(self.eval_source)
        if not self.team.leads:
            return
        if self.eval_source is not None:
            record_results(self.folder, self.position.step, self.metrics)
            self.summaries.metrics(self.position.step, self.metrics, "eval")
            logger.info("step %d: %s", self.position.step, _join(self.metrics))
        for path in delete_old(self.folder, self.learner.settings.keep):
            logger.info("deleted %s", path)
        if self.on_saved is not None:
            self.on_saved()

    def _evaluate(self, source: BatchSource) -> dict[str, float]:
        config, learner = self.config.eval_config, self.learner
        learner.module.eval()
        try:
            with ExitStack() as stack:
                if config.use_dense_ema and learner.averages is not None:
                    stack.enter_context(learner.averages.in_place())
                return evaluate(
                    learner.predict,
                    learner.tasks,
                    source,
                    eval_config=config,
                    device=learner.device,
                    team=self.team,
                )
        finally:
            learner.module.train()


class _Clock:
    """Rows per second since it was last asked."""

    def __init__(self) -> None:
        self.rows, self._since = 0, time.monotonic()

    def rate(self) -> float:
        now = time.monotonic()
        rate = self.rows / max(now - self._since, 1e-9)
        self.rows, self._since = 0, now
        return rate


def config_fingerprint(config: Any) -> str:
    """SHA-256 of what decides the parameters and how they learn: features, model and optimizers."""
    parts = [*config.feature_configs, config.model_config, config.train_config.sparse_optimizer]
    parts.append(config.train_config.dense_optimizer)
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.SerializePartialToString(deterministic=True) + b"\0")
    return digest.hexdigest()


def _finite(loss: torch.Tensor, step: int) -> float:
    value = float(loss.detach())
    if value != value or value in (float("inf"), float("-inf")):
        raise StageError(
            f"the loss is {value} in step {step}",
            "lower the learning rates, clip gradients (train_config.grad_clipping), or look for extreme feature values",
        )
    return value


def _log(step: int, epoch: int, values: dict[str, float], rates: dict[str, float], speed: float) -> None:
    shown = ", ".join(f"{name} {rate:.3g}" for name, rate in rates.items())
    logger.info("step %d, epoch %d: %s; lr %s; %.0f rows/s", step, epoch, _join(values), shown, speed)


def _join(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.5f}" for name, value in values.items()) or "no metrics"
