"""Rewrites the jagged parts of a traced model so that a compiler can take it.

The functions of ``nn/jagged.py`` make tensors whose shapes depend on values. Here what depends on values is drawn out
into indices (:func:`row_of_step` and the like), which the sparse part computes; the rest becomes plain operators over
them, whose shapes follow from the shapes of their inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from recinfer.nn import jagged


def softmax_over_steps(scores: torch.Tensor, rows: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Softmax inside each row: scores [steps, 1], the row of each step [steps], steps per row [B] to [steps]."""
    flat = scores.squeeze(1)
    lowest = torch.full((lengths.size(0),), float("-inf"), dtype=flat.dtype, device=flat.device)
    highest = lowest.scatter_reduce(0, rows, flat, "amax")
    powers = torch.exp(flat - highest.index_select(0, rows))
    sums = torch.zeros_like(lowest).index_add(0, rows, powers)
    return powers / sums.index_select(0, rows)


def weighted_sum(values: torch.Tensor, weights: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """Weighted sums of each row's steps: [steps, D], [steps] and the rows' offsets [B + 1] to [B, D]."""
    indices = torch.arange(values.size(0), device=values.device)
    return torch.embedding_bag(values, indices, offsets, False, 0, False, weights.to(values.dtype), True)[0]


def pool_steps(values: torch.Tensor, offsets: torch.Tensor, mean: bool) -> torch.Tensor:
    """Sums or means of each row's steps: [steps, D] and the rows' offsets [B + 1] to [B, D]."""
    indices = torch.arange(values.size(0), device=values.device)
    return torch.embedding_bag(values, indices, offsets, False, 1 if mean else 0, False, None, True)[0]


def to_padded(values: torch.Tensor, places: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Steps [steps, D] at their places [steps] of a padded tensor [B, longest, D], as wide as ``mask``."""
    flat = torch.zeros(mask.size(0) * mask.size(1), values.size(1), dtype=values.dtype, device=values.device)
    return flat.index_copy(0, places, values).view(mask.size(0), mask.size(1), values.size(1))


def with_indices(graph: fx.GraphModule, trained: set[fx.Node]) -> None:
    """Puts plain operators in place of jagged functions, in the graph itself.

    Args:
        trained: nodes that depend on parameters. Pooling elsewhere stays, since it makes tensors smaller.
    """
    rewriter = _Rewriter(graph.graph)
    for node in list(graph.graph.nodes):
        rewrite = rewriter.rewrites.get(node.target) if node.op == "call_function" else None
        if rewrite is None or (node.target is jagged.pool_steps and node not in trained):
            continue
        node.replace_all_uses_with(rewrite(node, *node.args, **node.kwargs))
        graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()
    graph.recompile()


class _Rewriter:
    """Writes plain operators before a node; equal indices are made once."""

    def __init__(self, graph: fx.Graph) -> None:
        self.graph = graph
        self.indices: dict[tuple[Callable[..., torch.Tensor], fx.Node], fx.Node] = {}
        self.rewrites: dict[Any, Callable[..., fx.Node]] = {
            jagged.repeat_rows: self.repeat_rows,
            jagged.softmax_over_steps: self.softmax_over_steps,
            jagged.weighted_sum: self.weighted_sum,
            jagged.pool_steps: self.pool_steps,
            jagged.to_padded: self.to_padded,
            jagged.padding_mask: self.padding_mask,
        }

    def repeat_rows(self, node: fx.Node, rows: fx.Node, lengths: fx.Node) -> fx.Node:
        return self._call(node, torch.index_select, rows, 0, self._index(node, jagged.row_of_step, lengths))

    def softmax_over_steps(self, node: fx.Node, scores: fx.Node, lengths: fx.Node) -> fx.Node:
        return self._call(node, softmax_over_steps, scores, self._index(node, jagged.row_of_step, lengths), lengths)

    def weighted_sum(self, node: fx.Node, values: fx.Node, weights: fx.Node, lengths: fx.Node) -> fx.Node:
        return self._call(node, weighted_sum, values, weights, self._index(node, jagged.offsets_of, lengths))

    def pool_steps(self, node: fx.Node, values: fx.Node, lengths: fx.Node, mean: bool) -> fx.Node:
        return self._call(node, pool_steps, values, self._index(node, jagged.offsets_of, lengths), mean)

    def to_padded(self, node: fx.Node, values: fx.Node, lengths: fx.Node) -> fx.Node:
        places = self._index(node, jagged.place_of_step, lengths)
        return self._call(node, to_padded, values, places, self._index(node, jagged.padding_mask, lengths))

    def padding_mask(self, node: fx.Node, lengths: fx.Node) -> fx.Node:
        # The one that padded tensors are made with.
        return self._index(node, jagged.padding_mask, lengths)

    def _call(self, before: fx.Node, function: Callable[..., torch.Tensor], *args: Any) -> fx.Node:
        with self.graph.inserting_before(before):
            return self.graph.call_function(function, args)

    def _index(self, before: fx.Node, make: Callable[..., torch.Tensor], lengths: fx.Node) -> fx.Node:
        if (make, lengths) not in self.indices:
            self.indices[make, lengths] = self._call(before, make, lengths)
        return self.indices[make, lengths]
