"""Exponential moving averages of the dense parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

# The name that TorchEasyRec's checkpoints give to the number of updates.
UPDATES = "__n_averaged__"


class MovingAverage:
    """Averages that follow the parameters: ``average = decay * average + (1 - decay) * parameter`` each update.

    The first update copies the parameters.

    Args:
        parameters: name -> parameter.
        decay: closer to 1 is slower.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self.parameters = dict(parameters)
        self.decay = decay
        self.averages = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        self.updates = torch.zeros((), dtype=torch.int64)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The averages and the number of updates, as views."""
        return {**self.averages, UPDATES: self.updates}

    @torch.no_grad()
    def update(self) -> None:
        """To be called after each update of the parameters."""
        weight = 1 - self.decay if int(self.updates) else 1.0
        torch._foreach_lerp_(list(self.averages.values()), list(self.parameters.values()), weight)
        self.updates += 1

    @torch.no_grad()
    def restart(self) -> None:
        """The averages become what the parameters are now."""
        for name, parameter in self.parameters.items():
            self.averages[name].copy_(parameter)
        self.updates.zero_()

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The parameters hold their averages inside the block."""
        kept = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        self._assign(self.averages)
        try:
            yield
        finally:
            self._assign(kept)

    @torch.no_grad()
    def _assign(self, values: Mapping[str, torch.Tensor]) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(values[name])
