"""What TensorBoard gets of parameters and their gradients: histograms and norms."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import nn

OF_GRADIENTS = frozenset({"global_gradient_norm", "gradient_norm", "gradient"})


class GradientSummaries:
    """Writes gradients of dense parameters as their optimizers see them: unscaled, accumulated and clipped.

    Tables are updated inside the backward pass; they have no gradient to show.

    Args:
        writer: TensorBoard's.
        wanted: of :data:`OF_GRADIENTS`.
        parameters: the dense parameters, by name.
        first_optimizer: the first of their optimizers to step; by then all gradients are final.
    """

    def __init__(
        self,
        writer: Any,
        wanted: Collection[str],
        parameters: Mapping[str, nn.Parameter],
        first_optimizer: torch.optim.Optimizer,
    ) -> None:
        self._writer, self._wanted, self._parameters = writer, wanted, parameters
        self._step: int | None = None
        first_optimizer.register_step_pre_hook(self._on_update)

    def expect(self, step: int) -> None:
        """Asks for the gradients of the next update, to be shown at this step."""
        self._step = step

    def _on_update(self, *_: Any) -> None:
        if self._step is None:
            return
        step, self._step = self._step, None
        found = {name: each.grad for name, each in self._parameters.items() if each.grad is not None}
        if "global_gradient_norm" in self._wanted:
            total = torch.nn.utils.get_total_norm(found.values())
            self._writer.add_scalar("global_gradient_norm", float(total), step)
        for name, gradient in found.items():
            if "gradient_norm" in self._wanted:
                self._writer.add_scalar(f"{name}/gradient_norm", float(torch.linalg.vector_norm(gradient)), step)
            if "gradient" in self._wanted:
                add_histogram(self._writer, f"{name}/gradient", gradient, step)


def add_parameters(writer: Any, module: nn.Module, step: int) -> None:
    """Adds a histogram of each parameter, tables included: of those, what this process holds."""
    for name, parameter in module.named_parameters():
        add_histogram(writer, name, parameter, step)


def add_histogram(writer: Any, tag: str, values: torch.Tensor, step: int) -> None:
    """Adds a histogram of the finite values, if there are any: TensorBoard refuses others."""
    numbers = values.detach().to("cpu", torch.float32)
    finite = numbers[torch.isfinite(numbers)]
    if finite.numel():
        writer.add_histogram(tag, finite, step)
