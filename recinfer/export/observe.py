"""What the values of a traced model are like, learnt by running it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx


@dataclass(frozen=True)
class TensorLike:
    """Shape and type of a tensor."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def is_float(self) -> bool:
        """Whether it holds real numbers rather than ids, counts or marks."""
        return self.dtype.is_floating_point


class _Observer(fx.Interpreter):
    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph)
        self.tensors: dict[fx.Node, TensorLike] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Runs one node and notes its value."""
        value = super().run_node(n)
        if isinstance(value, torch.Tensor):
            self.tensors[n] = TensorLike(tuple(value.shape), value.dtype)
        return value


def observe(graph: fx.GraphModule, data: Mapping[str, torch.Tensor]) -> dict[fx.Node, TensorLike]:
    """Runs a scorable graph on a batch; returns its tensors, and leaves out values that are none."""
    observer = _Observer(graph)
    with torch.no_grad():
        observer.run(dict(data), torch.device("cpu"))
    return observer.tensors
