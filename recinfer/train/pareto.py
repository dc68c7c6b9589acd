"""Weights of task losses by Pareto efficiency (Lin et al., RecSys 2019, doi:10.1145/3298689.3346998).

Among all weights that sum to 1 and stay above given least ones, those whose weighted sum of gradients is shortest:
where it is zero, no task can gain without another's loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from recinfer.errors import ConfigError
from recinfer.models.base import Task

Floats = npt.NDArray[np.float64]


class ParetoWeights:
    """Finds the weights of a batch's task losses from their gradients by the dense parameters.

    Args:
        tasks: each has as many weights as it has losses, all of them at least its ``pareto_min_loss_weight``.
        parameters: the dense parameters that learn.
        average: replaces tensors by their means over ranks; None for one rank.

    Raises:
        ConfigError: the least weights are negative, or leave nothing to divide.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        parameters: Sequence[nn.Parameter],
        average: Callable[[Sequence[torch.Tensor]], None] | None = None,
    ) -> None:
        self.least = least_weights(tasks)
        self.parameters = list(parameters)
        self.average = average

    def __call__(
        self, losses: Sequence[torch.Tensor], scale: Callable[[torch.Tensor], torch.Tensor] | None = None
    ) -> list[float]:
        """The weights of losses, scalars of one graph, which is kept.

        Args:
            losses: in the order of tasks and their losses.
            scale: a gradient scaler's, so that small gradients survive half precision; it changes no weight.
        """
        rows = [self._gradient(loss if scale is None else scale(loss)) for loss in losses]
        gradients = torch.stack(rows)
        if self.average is not None:
            self.average([gradients])
        gradients = gradients.double()
        return pareto_weights((gradients @ gradients.T).cpu().numpy(), self.least).tolist()

    def _gradient(self, loss: torch.Tensor) -> torch.Tensor:
        if not loss.requires_grad:
            return torch.cat([torch.zeros_like(parameter).flatten() for parameter in self.parameters])
        found = torch.autograd.grad(loss, self.parameters, retain_graph=True, allow_unused=True)
        parts = zip(self.parameters, found, strict=True)
        return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for p, g in parts])


def least_weights(tasks: Sequence[Task]) -> Floats:
    """The least weight of each loss of each task, [K].

    Raises:
        ConfigError: one is negative, or their sum is not below 1.
    """
    least = np.array([task.pareto_min_loss_weight for task in tasks for _ in task.losses], dtype=np.float64)
    if (least < 0).any() or least.sum() >= 1:
        raise ConfigError(
            f"pareto_min_loss_weight of the task towers: {', '.join(f'{value:g}' for value in least)} (one per loss)",
            "none may be negative, and their sum must be below 1",
        )
    return least


def pareto_weights(products: Floats, least: Floats) -> Floats:
    """The weights, [K], that sum to 1.

    First the weights of the shortest sum without regard to signs, from the conditions of Karush, Kuhn and Tucker; then
    the nearest ones that are at least ``least``.

    Args:
        products: inner products of the losses' gradients, [K, K].
        least: [K], of a sum below 1.
    """
    count = len(least)
    size = np.trace(products)
    if not np.isfinite(size) or size <= 0:
        # Nothing tells the losses apart: no gradients, or some that overflowed.
        return least + (1 - least.sum()) / count
    # The weights do not depend on the size of the gradients, the accuracy of the solution does.
    scaled = products / size
    system = np.zeros((count + 1, count + 1))
    system[:count, :count] = scaled
    system[:count, count] = system[count, :count] = 1
    right = np.append(-scaled @ least, 1 - least.sum())
    free: Floats = np.linalg.lstsq(system, right, rcond=None)[0][:count]
    return least + nearest_on_simplex(free, 1 - float(least.sum()))


def nearest_on_simplex(point: Floats, total: float) -> Floats:
    """The nearest point, by Euclid, with no negative coordinate and the sum ``total`` (Duchi et al., ICML 2008).

    Args:
        point: [K].
        total: above 0.
    """
    descending = np.sort(point)[::-1]
    excess = (np.cumsum(descending) - total) / np.arange(1, len(point) + 1)
    last = np.flatnonzero(descending > excess)[-1]
    nearest: Floats = np.maximum(point - excess[last], 0.0)
    return nearest
