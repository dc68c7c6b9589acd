"""Times a module on its device."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median

import torch

ROUNDS = 20


def milliseconds(module: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> float:
    """The median time of a call, after three that warm up."""
    taken = []
    with torch.inference_mode():
        for _ in range(3 + ROUNDS):
            _wait(inputs)
            start = time.perf_counter()
            module(*inputs)
            _wait(inputs)
            taken.append(1000 * (time.perf_counter() - start))
    return median(taken[3:])


def _wait(inputs: Sequence[torch.Tensor]) -> None:
    """A GPU computes behind the call's back."""
    if any(each.is_cuda for each in inputs):
        torch.cuda.synchronize()
