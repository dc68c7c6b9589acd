"""Runs a module on a device that is not there: tensors without values know where they lie, and refuse to mix."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch._functorch import config as functorch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

OTHER = torch.device("meta")


def run_elsewhere(module: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> Any:
    """Results of a module whose parameters and inputs lie on another device than the processor.

    Raises:
        RuntimeError: it makes a tensor on the processor, and uses it with one of that device.
    """
    with functorch.patch(fake_tensor_allow_meta=True):
        mode = FakeTensorMode(shape_env=ShapeEnv(), allow_non_fake_inputs=False)

        def moved(tensor: torch.Tensor) -> torch.Tensor:
            with mode:
                return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=OTHER)

        there = copy.deepcopy(module)
        for each in there.modules():
            for held in (each._parameters, each._buffers):
                held.update({name: moved(tensor) for name, tensor in held.items() if tensor is not None})
        given = [moved(each) for each in inputs]
        with mode, torch.no_grad():
            return there(*given)
