"""Which optimizers there are, for tables and for dense parameters; says so without loading torch or fbgemm."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from recinfer.errors import ConfigError
from recinfer.train.schedules import build_schedule

SPARSE = "train_config.sparse_optimizer"
DENSE = "train_config.dense_optimizer"
# What fbgemm applies to tables inside the backward pass.
TABLES_ON_CPU = ("sgd_optimizer", "adagrad_optimizer", "rowwise_adagrad_optimizer")
TABLES_ON_GPU = (
    *TABLES_ON_CPU,
    "adam_optimizer",
    "lars_sgd_optimizer",
    "lamb_optimizer",
    "partial_rowwise_adam_optimizer",
    "partial_rowwise_lamb_optimizer",
)
DENSE_KINDS = (
    "sgd_optimizer",
    "adagrad_optimizer",
    "adam_optimizer",
    "adamw_optimizer",
    "adadelta_optimizer",
    "rmsprop_optimizer",
)


def sparse_kind(config: Any, device_type: str) -> str:
    """The optimizer that a ``SparseOptimizer`` message names.

    Raises:
        ConfigError: none is named, or fbgemm has none of that kind on this device; says which it has.
    """
    kind = config.WhichOneof("optimizer")
    offered = TABLES_ON_CPU if device_type == "cpu" else TABLES_ON_GPU
    hint = f"choose one of {', '.join(offered)}"
    if kind is None:
        raise ConfigError(f"{SPARSE} names no optimizer", hint)
    if kind not in TABLES_ON_GPU:
        raise ConfigError(f"{SPARSE}.{kind} is not supported: fbgemm has no such optimizer", hint)
    if kind not in offered:
        raise ConfigError(f"{SPARSE}.{kind} is not supported on CPU: fbgemm offers it on GPUs only", hint)
    return str(kind)


def dense_kind(config: Any, where: str) -> str:
    """The optimizer that a ``DenseOptimizer`` or ``PartOptimizer`` message names.

    Raises:
        ConfigError: none is named.
    """
    kind = config.WhichOneof("optimizer")
    if kind is None:
        raise ConfigError(f"{where} names no optimizer", f"choose one of {', '.join(DENSE_KINDS)}")
    return str(kind)


def part_pattern(pattern: str, where: str) -> re.Pattern[str]:
    """The compiled ``regex_pattern`` of a part optimizer.

    Raises:
        ConfigError: it is not a regular expression.
    """
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"{where}.regex_pattern {pattern!r} is not a regular expression: {error}") from error


def check_optimizers(config: Any, device_type: str) -> None:
    """Refuses what is wrong with the optimizers and schedules of a ``TrainConfig`` message, before anything is built.

    Raises:
        ConfigError: an optimizer is missing or not there on the device, a pattern or a schedule makes no sense.
    """
    for check in optimizer_checks(config, device_type):
        check()


def optimizer_checks(config: Any, device_type: str) -> list[Callable[[], None]]:
    """What :func:`check_optimizers` looks at, one optimizer each."""
    dense = config.dense_optimizer
    parts = [(part, f"{DENSE}.part_optimizers[{place}]") for place, part in enumerate(dense.part_optimizers)]
    return [
        partial(_check_tables, config.sparse_optimizer, device_type),
        partial(_check_dense, dense, DENSE),
        *(partial(_check_dense, part, where) for part, where in parts),
    ]


def _check_tables(config: Any, device_type: str) -> None:
    build_schedule(config, getattr(config, sparse_kind(config, device_type)).lr, SPARSE)


def _check_dense(config: Any, where: str) -> None:
    if "regex_pattern" in config.DESCRIPTOR.fields_by_name:
        part_pattern(config.regex_pattern, where)
    build_schedule(config, getattr(config, dense_kind(config, where)).lr, where)
