"""Optimizers of the dense parameters, by name pattern where the config says so."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from recinfer.errors import ConfigError
from recinfer.train.schedules import Schedule, build_schedule

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "sgd_optimizer": torch.optim.SGD,
    "adagrad_optimizer": torch.optim.Adagrad,
    "adam_optimizer": torch.optim.Adam,
    "adamw_optimizer": torch.optim.AdamW,
    "adadelta_optimizer": torch.optim.Adadelta,
    "rmsprop_optimizer": torch.optim.RMSprop,
}
BETAS = ("beta1", "beta2")


@dataclass(frozen=True)
class DenseOptimizer:
    """One torch optimizer over some of the dense parameters.

    Attributes:
        optimizer: a torch optimizer with a single parameter group.
        schedule: its learning rate.
        parameters: name -> parameter, names as in ``state_dict``.
    """

    optimizer: torch.optim.Optimizer
    schedule: Schedule
    parameters: dict[str, nn.Parameter]

    def set_rate(self, rate: float) -> None:
        """Sets the learning rate of the next update."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate


def build_dense_optimizers(config: Any, parameters: Iterable[tuple[str, nn.Parameter]]) -> list[DenseOptimizer]:
    """One optimizer for each ``part_optimizers`` entry that matches anything, and the main one for the rest.

    A parameter belongs to the first entry whose ``regex_pattern`` is found in its name.

    Args:
        config: a ``DenseOptimizer`` message.
        parameters: (name, parameter) of all dense parameters that learn.

    Raises:
        ConfigError: an optimizer is missing, a pattern is not a regular expression or matches no name.
    """
    where = "train_config.dense_optimizer"
    rest = dict(parameters)
    out: list[DenseOptimizer] = []
    for position, part in enumerate(config.part_optimizers):
        place = f"{where}.part_optimizers[{position}]"
        pattern = _compile(part.regex_pattern, place)
        chosen = {name: parameter for name, parameter in rest.items() if pattern.search(name)}
        if not chosen:
            raise ConfigError(f"{place}: no dense parameter matches {part.regex_pattern!r}", _names(rest))
        rest = {name: parameter for name, parameter in rest.items() if name not in chosen}
        out.append(_build(part, chosen, place))
    if rest:
        out.append(_build(config, rest, where))
    return out


def _build(config: Any, parameters: dict[str, nn.Parameter], where: str) -> DenseOptimizer:
    kind = config.WhichOneof("optimizer")
    if kind is None:
        raise ConfigError(f"{where} names no optimizer", f"choose one of {', '.join(OPTIMIZERS)}")
    message = getattr(config, kind)
    fields = {field.name: getattr(message, field.name) for field in message.DESCRIPTOR.fields}
    arguments = {name: value for name, value in fields.items() if name not in BETAS}
    if "beta1" in fields:
        arguments["betas"] = (fields["beta1"], fields["beta2"])
    try:
        optimizer = OPTIMIZERS[kind](parameters.values(), **arguments)
    except (ValueError, RuntimeError) as error:
        raise ConfigError(f"{where}.{kind}: {error}") from error
    return DenseOptimizer(optimizer, build_schedule(config, message.lr, where), parameters)


def _compile(pattern: str, where: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"{where}.regex_pattern {pattern!r} is not a regular expression: {error}") from error


def _names(parameters: dict[str, nn.Parameter]) -> str:
    return f"the names are: {', '.join(list(parameters)[:10])}"
