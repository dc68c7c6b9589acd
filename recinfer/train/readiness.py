"""Whether a config can be trained, as far as it says itself; torch is not loaded unless a precision is named."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from recinfer.config.problems import Problem
from recinfer.errors import ConfigError
from recinfer.train.optimizer_kinds import optimizer_checks
from recinfer.train.settings import CHECKS
from recinfer.train.warm_start_names import read_name_map


def training_problems(config: Any, device_type: str = "cpu") -> list[Problem]:
    """What training would refuse of an ``EasyRecConfig`` message's ``train_config``; empty where there is none.

    Args:
        device_type: where it would be trained.
    """
    if not config.HasField("train_config"):
        return []
    train_config = config.train_config
    checks: list[Callable[[], Any]] = [
        *(partial(check, train_config) for check in CHECKS),
        *optimizer_checks(train_config, device_type),
        lambda: train_config.fine_tune_ckpt_param_map and read_name_map(train_config.fine_tune_ckpt_param_map),
    ]
    return [problem for check in checks for problem in _problems(check)]


def _problems(check: Callable[[], Any]) -> list[Problem]:
    try:
        check()
    except ConfigError as error:
        return [Problem("train_config", error.message, error.hint)]
    return []
