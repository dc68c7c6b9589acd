"""Optimizers that fbgemm applies to embedding tables inside the backward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fbgemm_gpu.split_embedding_configs import EmbOptimType
from fbgemm_gpu.tbe.config.optimizer_config import WeightDecayMode

from recinfer.train.optimizer_kinds import SPARSE, sparse_kind
from recinfer.train.schedules import Schedule, build_schedule

OPTIMIZERS = {
    "sgd_optimizer": EmbOptimType.EXACT_SGD,
    "adagrad_optimizer": EmbOptimType.EXACT_ADAGRAD,
    "rowwise_adagrad_optimizer": EmbOptimType.EXACT_ROWWISE_ADAGRAD,
    "adam_optimizer": EmbOptimType.ADAM,
    "lars_sgd_optimizer": EmbOptimType.LARS_SGD,
    "lamb_optimizer": EmbOptimType.LAMB,
    "partial_rowwise_adam_optimizer": EmbOptimType.PARTIAL_ROWWISE_ADAM,
    "partial_rowwise_lamb_optimizer": EmbOptimType.PARTIAL_ROWWISE_LAMB,
}
COPIED = ("gradient_clipping", "max_gradient", "beta1", "beta2", "momentum", "weight_decay")
# The loop sets the rate before each step; rate 0 in the beginning marks a table that is frozen.
ANY_RATE = 1.0
WEIGHT_DECAY_MODES = {0: WeightDecayMode.NONE, 1: WeightDecayMode.L2, 2: WeightDecayMode.DECOUPLE}


@dataclass(frozen=True)
class SparseOptimizer:
    """How embedding tables learn.

    Attributes:
        fused_params: what torchrec's sharders hand to fbgemm.
        schedule: the learning rate.
        initial_state: value that the accumulators start from.
    """

    fused_params: dict[str, Any]
    schedule: Schedule
    initial_state: float = 0.0


def build_sparse_optimizer(config: Any, device_type: str) -> SparseOptimizer:
    """Reads a ``SparseOptimizer`` message.

    Raises:
        ConfigError: none is named, or fbgemm has none of that kind on this device.
    """
    kind = sparse_kind(config, device_type)
    message = getattr(config, kind)
    fields = {field.name for field in message.DESCRIPTOR.fields}
    fused: dict[str, Any] = {"optimizer": OPTIMIZERS[kind], "learning_rate": ANY_RATE}
    fused |= {name: getattr(message, name) for name in COPIED if name in fields}
    if "weight_decay_mode" in fields:
        fused["weight_decay_mode"] = WEIGHT_DECAY_MODES[message.weight_decay_mode]
    initial = message.initial_accumulator_value if "initial_accumulator_value" in fields else 0.0
    return SparseOptimizer(fused, build_schedule(config, message.lr, SPARSE), initial)
