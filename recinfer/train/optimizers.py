"""Optimizers of the dense parameters, by name pattern where the config says so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from recinfer.errors import ConfigError
from recinfer.train.optimizer_kinds import DENSE, dense_kind, part_pattern
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

    A parameter belongs to the first entry whose ``regex_pattern`` matches its whole name, as in TorchEasyRec. An entry
    without a learning rate schedule takes the main one's, from its own ``lr`` on.

    Args:
        config: a ``DenseOptimizer`` message.
        parameters: (name, parameter) of all dense parameters that learn.

    Raises:
        ConfigError: an optimizer is missing, a pattern is not a regular expression or matches no name.
    """
    rest = dict(parameters)
    out: list[DenseOptimizer] = []
    for position, part in enumerate(config.part_optimizers):
        place = f"{DENSE}.part_optimizers[{position}]"
        pattern = part_pattern(part.regex_pattern, place)
        chosen = {name: parameter for name, parameter in rest.items() if pattern.fullmatch(name)}
        if not chosen:
            raise ConfigError(f"{place}: no dense parameter matches {part.regex_pattern!r}", _names(rest))
        rest = {name: parameter for name, parameter in rest.items() if name not in chosen}
        out.append(_build(part, part if part.WhichOneof("learning_rate") else config, chosen, place))
    if rest:
        out.append(_build(config, config, rest, DENSE))
    return out


def _build(config: Any, scheduled: Any, parameters: dict[str, nn.Parameter], where: str) -> DenseOptimizer:
    """The optimizer of one message, with the schedule of another or the same."""
    kind = dense_kind(config, where)
    message = getattr(config, kind)
    fields = {field.name: getattr(message, field.name) for field in message.DESCRIPTOR.fields}
    arguments = {name: value for name, value in fields.items() if name not in BETAS}
    if "beta1" in fields:
        arguments["betas"] = (fields["beta1"], fields["beta2"])
    try:
        optimizer = OPTIMIZERS[kind](parameters.values(), **arguments)
    except (ValueError, RuntimeError) as error:
        raise ConfigError(f"{where}.{kind}: {error}") from error
    return DenseOptimizer(optimizer, build_schedule(scheduled, message.lr, where), parameters)


def _names(parameters: dict[str, nn.Parameter]) -> str:
    return f"a pattern matches whole names, such as model\\..*; they are: {', '.join(list(parameters)[:10])}"
