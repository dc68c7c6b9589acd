"""One update: predictions, loss, gradients, and what all optimizers make of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from recinfer.data.parser import Tensors
from recinfer.distributed.plan_table import plan_json
from recinfer.distributed.sharding import shard
from recinfer.distributed.team import Team
from recinfer.models.base import Model, Task
from recinfer.nn.shared_slots import share_slots
from recinfer.train.batches import Batch
from recinfer.train.checkpoint import TrainState
from recinfer.train.gradient_scaling import unscale_tables
from recinfer.train.losses import total_loss
from recinfer.train.moving_average import MovingAverage
from recinfer.train.optimizers import build_dense_optimizers
from recinfer.train.pareto import ParetoWeights
from recinfer.train.row_restarts import RowRestarts
from recinfer.train.settings import Clipping, TrainSettings
from recinfer.train.sparse_optimizers import build_sparse_optimizer
from recinfer.train.table_optimizer import TableOptimizer


class ModelHolder(nn.Module):
    """Holds a model under the name ``model``, which is how checkpoints call it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensors) -> Tensors:
        """The model's predictions."""
        predictions: Tensors = self.model(features)
        return predictions


class Learner:
    """A model with its optimizers.

    Args:
        model: takes parsed features, returns predictions, has ``tasks``. Its embedding collections are replaced by
            sharded ones, so the model is the learner's from here on.
        config: a ``TrainConfig`` message.
        settings: read from it.
        group: the process group.
        device: where to train.
        pareto: weigh the losses of tasks by Pareto efficiency.
        seed: of the first weights of tables without memory.

    Raises:
        ConfigError: an optimizer is missing or not available on the device.
    """

    def __init__(
        self,
        model: Model,
        config: Any,
        settings: TrainSettings,
        group: dist.ProcessGroup,
        device: torch.device,
        *,
        pareto: bool = False,
        seed: int = 0,
    ) -> None:
        self.tasks: Sequence[Task] = model.tasks
        self.training_tasks: Sequence[Task] = model.training_tasks
        self.settings, self.device = settings, device
        self.team = Team(group)
        sparse = build_sparse_optimizer(config.sparse_optimizer, device.type)
        shared = share_slots(model, self.team.concatenate) if self.team.size > 1 else []
        self.module = shard(
            ModelHolder(model),
            sparse.fused_params,
            group,
            device,
            sparse.initial_state,
            general=config.global_embedding_constraints if config.HasField("global_embedding_constraints") else None,
            seed=seed,
        )
        self.tables = TableOptimizer(self.module.fused_optimizer, sparse.schedule, sparse.initial_state)
        restarts = RowRestarts(self.module, self.tables.fused, sparse.initial_state)
        for slots in shared:
            slots.restart = restarts
        in_tables = set(self.module.fused_optimizer.params)
        # Of a table that lies on other ranks there is a parameter without numbers.
        self.parameters = {
            name: parameter
            for name, parameter in self.module.named_parameters()
            if name not in in_tables and parameter.requires_grad and parameter.numel()
        }
        self.dense = build_dense_optimizers(config.dense_optimizer, self.parameters.items())
        decay = settings.ema_decay
        self.averages = None if decay is None else MovingAverage(self.parameters, decay)
        self.pareto = _pareto(self) if pareto else None
        self.scaler: torch.amp.GradScaler | None = None
        if settings.scaler is not None:
            self.scaler = torch.amp.GradScaler(device.type, **settings.scaler)  # type: ignore[arg-type]
            unscale_tables(self.module, self.scaler)
        self._pending = 0

    @property
    def state(self) -> TrainState:
        """What checkpoints keep."""
        plan = plan_json(self.module.plan)
        return TrainState(self.module, self.dense, self.tables.fused, plan, self.averages, self.team)

    def set_rates(self, step: int, epoch: int) -> dict[str, float]:
        """Sets the learning rates of the next update; ``sparse``, ``dense``, ``dense_1`` ... -> rate."""
        rates = {"sparse": self.tables.schedule.at(step, epoch)}
        self.tables.set_rate(rates["sparse"])
        for position, dense in enumerate(reversed(self.dense)):
            name = f"dense_{position}" if position else "dense"
            rates[name] = dense.schedule.at(step, epoch)
            dense.set_rate(rates[name])
        return rates

    def predict(self, features: Tensors) -> Tensors:
        """The model's predictions, in the precision that it trains in."""
        with torch.autocast(self.device.type, self.settings.precision, enabled=self.settings.precision is not None):
            predictions: Tensors = self.module(features)
        return predictions

    def forward(self, batch: Batch) -> tuple[torch.Tensor, Tensors, Tensors]:
        """The loss of a batch, its parts, and the predictions."""
        self.module.train()
        predictions = self.predict(batch.features)
        balance = None if self.pareto is None else self._balance
        loss, parts = total_loss(self.training_tasks, predictions, batch.labels, batch.weights, batch.groups, balance)
        return loss, parts, predictions

    def _balance(self, losses: Sequence[torch.Tensor]) -> list[float]:
        assert self.pareto is not None
        return self.pareto(losses, None if self.scaler is None else self.scaler.scale)

    def backward(self, loss: torch.Tensor) -> None:
        """Learns from a loss: tables at once, dense parameters when ``gradient_accumulation_steps`` batches are in.

        With accumulation each batch's gradient counts as its share of one mean, for tables too.
        What is learnt is the mean over ranks.
        """
        share = loss / self.settings.accumulate
        (share if self.scaler is None else self.scaler.scale(share)).backward()
        self._pending += 1
        if self._pending == self.settings.accumulate:
            self.flush()

    def flush(self) -> None:
        """Updates the dense parameters from what has been accumulated, if anything."""
        if not self._pending:
            return
        optimizers = [dense.optimizer for dense in self.dense]
        if self.scaler is not None:
            for optimizer in optimizers:
                self.scaler.unscale_(optimizer)
        clip(list(self.parameters.values()), self.settings.clipping)
        for optimizer in optimizers:
            if self.scaler is not None:
                self.scaler.step(optimizer)
            else:
                optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self._pending = 0
        if self.scaler is not None and optimizers and _skipped(self.scaler):
            return
        if self.averages is not None:
            self.averages.update()


def _pareto(learner: Learner) -> ParetoWeights:
    return ParetoWeights(learner.training_tasks, list(learner.parameters.values()), learner.team.average)


def _skipped(scaler: torch.amp.GradScaler) -> bool:
    """Whether a gradient overflowed, so that nothing was updated; the scale is adapted."""
    before = scaler.get_scale()
    scaler.update()
    # The scale falls after an overflow, and only then.
    return bool(scaler.get_scale() < before)


def clip(parameters: list[nn.Parameter], clipping: Clipping) -> None:
    """Bounds the gradients of parameters in place."""
    if clipping.kind == "norm":
        nn.utils.clip_grad_norm_(parameters, clipping.bound, clipping.norm_type)
    elif clipping.kind == "value":
        nn.utils.clip_grad_value_(parameters, clipping.bound)
