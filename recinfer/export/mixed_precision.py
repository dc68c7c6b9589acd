"""Products in BF16 or FP16, and all else in single precision.

What ``torch.autocast`` does to a product is written into the graph: its inputs are rounded, and its result comes in the
coarse type. So scripted and compiled exports hold it, without a context around them. Between products everything is in
single precision again, which loses nothing, and lets any operator follow.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from recinfer.nn.folded import FoldedLinear


class MixedLinear(nn.Module):
    """A linear layer whose weights, inputs and result are rounded to a coarse type.

    Args:
        linear: the exact layer.
        dtype: bfloat16 or float16.
    """

    def __init__(self, linear: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight = nn.Parameter(linear.weight.detach().to(dtype), requires_grad=False)
        self.bias = None if linear.bias is None else nn.Parameter(linear.bias.detach().to(dtype), requires_grad=False)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """Float32 [..., in] to float32 [..., out]."""
        return functional.linear(given.to(self.weight.dtype), self.weight, self.bias).to(torch.float32)


class MixedFoldedLinear(FoldedLinear):
    """A :class:`~recinfer.nn.folded.FoldedLinear` whose products are coarse; their sums with those looked up are not.

    Args:
        folded: the exact layer.
        dtype: bfloat16 or float16.
    """

    def __init__(self, folded: FoldedLinear, dtype: torch.dtype) -> None:
        super().__init__(folded.weight.detach().to(dtype))
        self.in_place = folded.in_place

    def forward(self, kept: torch.Tensor, looked_up: torch.Tensor) -> torch.Tensor:
        """[B, kept] and the sums of products [B, out] to [B, out]."""
        products = functional.linear(kept.to(self.weight.dtype), self.weight).to(torch.float32)
        return looked_up.add_(products) if self.in_place else looked_up + products


def to_bfloat16(tensor: torch.Tensor) -> torch.Tensor:
    """Rounds to BF16."""
    return tensor.to(torch.bfloat16)


def to_float16(tensor: torch.Tensor) -> torch.Tensor:
    """Rounds to FP16."""
    return tensor.to(torch.float16)


def to_float32(tensor: torch.Tensor) -> torch.Tensor:
    """Widens to single precision."""
    return tensor.to(torch.float32)


TYPES: dict[str, tuple[torch.dtype, Callable[[torch.Tensor], torch.Tensor]]] = {
    "BF16": (torch.bfloat16, to_bfloat16),
    "FP16": (torch.float16, to_float16),
}
# Products, and how many of their first arguments are tensors to round; masks and sizes stay.
PRODUCTS: dict[Any, int] = {
    functional.linear: 3,
    functional.scaled_dot_product_attention: 3,
    operator.matmul: 2,
    torch.bmm: 2,
    torch.matmul: 2,
    torch.mm: 2,
    "bmm": 2,
    "matmul": 2,
    "mm": 2,
}


def with_mixed_precision(graph: fx.GraphModule, precision: str) -> int:
    """Rewrites the products of a traced model, in the graph itself; returns how many.

    Args:
        precision: ``BF16`` or ``FP16``.
    """
    dtype, rounded = TYPES[precision]
    read = {str(node.target) for node in graph.graph.nodes if node.op == "get_attr"}
    done = 0
    for node in list(graph.graph.nodes):
        if node.op == "call_module":
            done += _replace_layer(graph, str(node.target), dtype, read)
        elif node.op == "call_method" and node.target == "addmm_":
            _draw_out_product(graph.graph, node, rounded)
            done += 1
        elif node.op in {"call_function", "call_method"} and node.target in PRODUCTS:
            _round(graph.graph, node, PRODUCTS[node.target], rounded)
            done += 1
    graph.graph.lint()
    graph.recompile()
    return done


def _replace_layer(graph: fx.GraphModule, name: str, dtype: torch.dtype, read: set[str]) -> bool:
    """A layer whose weight is read apart from its call stays as it is."""
    module = graph.get_submodule(name)
    if f"{name}.weight" in read:
        return False
    if isinstance(module, MixedLinear | MixedFoldedLinear):
        return True
    if isinstance(module, FoldedLinear):
        graph.set_submodule(name, MixedFoldedLinear(module, dtype))
        return True
    if type(module) is nn.Linear:
        graph.set_submodule(name, MixedLinear(module, dtype))
        return True
    return False


def _round(graph: fx.Graph, node: fx.Node, tensors: int, rounded: Callable[[torch.Tensor], torch.Tensor]) -> None:
    with graph.inserting_before(node):
        node.args = tuple(
            graph.call_function(rounded, (each,)) if place < tensors and isinstance(each, fx.Node) else each
            for place, each in enumerate(node.args)
        )
        node.kwargs = {
            name: graph.call_function(rounded, (each,)) if name in {"weight", "bias"} else each
            for name, each in node.kwargs.items()
        }
    with graph.inserting_after(node):
        wide = graph.call_function(to_float32, (node,))
    node.replace_all_uses_with(wide, delete_user_cb=lambda user: user is not wide)


def _draw_out_product(graph: fx.Graph, node: fx.Node, rounded: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """``sums.addmm_(left, right)``: the product is rounded, the sum is not."""
    sums, left, right = node.args[:3]
    with graph.inserting_before(node):
        coarse = graph.call_function(
            torch.mm, (graph.call_function(rounded, (left,)), graph.call_function(rounded, (right,)))
        )
        product = graph.call_function(to_float32, (coarse,))
        added = graph.call_method("add_", (sums, product))
    node.replace_all_uses_with(added)
    graph.erase_node(node)
