"""Plain operators in place of the jagged functions that :mod:`~recinfer.export.indexed_steps` leaves.

How many steps a batch has is, where possible, read off a tensor of the batch that has one element per step, so that a
compiler knows which sizes are equal. Only where sequences are cut, the number of steps depends on values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx
from torchrec import JaggedTensor, KeyedTensor

from recinfer.export.indexed_steps import with_indices
from recinfer.export.sizes import LEAST
from recinfer.export.split import batch_key
from recinfer.features.base import Feature
from recinfer.nn import jagged


def offsets_of(lengths: torch.Tensor) -> torch.Tensor:
    """Where each row's steps begin, and the total: int64 [B + 1]."""
    ends = lengths.to(torch.int64).cumsum(0)
    return torch.cat([torch.zeros(1, dtype=torch.int64, device=lengths.device), ends])


def rows_of(lengths: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The row of each step, int64 [steps]; ``like`` has an element per step."""
    rows = torch.arange(lengths.size(0), device=lengths.device)
    return torch.repeat_interleave(rows, lengths.to(torch.int64), output_size=like.size(0))


def rows_of_cut(lengths: torch.Tensor) -> torch.Tensor:
    """The row of each step, int64 [steps], where no tensor has an element per step."""
    rows = torch.arange(lengths.size(0), device=lengths.device)
    return torch.repeat_interleave(rows, lengths.to(torch.int64))


def align_steps(
    values: torch.Tensor, lengths: torch.Tensor, offsets: torch.Tensor, rows: torch.Tensor, starts: torch.Tensor
) -> torch.Tensor:
    """Steps [sum of lengths, D] as many per row as the target has: cut at the end, or filled up with zeros.

    Args:
        lengths, offsets: of the values, [B] and [B + 1].
        rows: the row of each target step.
        starts: the target's offsets, [B + 1].
    """
    place = torch.arange(rows.size(0), device=rows.device) - starts[rows]
    filled = torch.cat([values, torch.zeros_like(values[:1]).new_zeros(1, values.size(1))])
    source = torch.where(place < lengths[rows], offsets[rows] + place, values.size(0))
    return filled.index_select(0, source)


def first_step(values: torch.Tensor, lengths: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """The first step of each row, zeros where there is none: [steps, D] to [B, D]."""
    filled = torch.cat([values, values.new_zeros(1, values.size(1))])
    return filled.index_select(0, torch.where(lengths > 0, offsets[:-1], values.size(0)))


def ids_per_row(key_offsets: torch.Tensor, offsets: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Ids per row, [B], from offsets of ids by step and of steps by row."""
    return torch.diff(key_offsets[offsets]).to(lengths.dtype)


def padding_mask(lengths: torch.Tensor) -> torch.Tensor:
    """Which places of a tensor padded to the longest row hold a step: bool [B, longest].

    It is two steps wide at least: compilers treat widths of 0 and 1 apart from all others, and cannot ask a width that
    depends on values which it is.
    """
    width = torch.cat([lengths, lengths.new_full((1,), LEAST)]).max().item()
    torch._check(width >= LEAST)
    return torch.arange(width, device=lengths.device).unsqueeze(0) < lengths.unsqueeze(1)


def place_of_step(rows: torch.Tensor, offsets: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Where each step lies in a flattened padded tensor: int64 [steps]."""
    return rows * mask.size(1) + torch.arange(rows.size(0), device=rows.device) - offsets[rows]


def with_plain_steps(graph: fx.GraphModule, features: Sequence[Feature]) -> None:
    """Changes a traced model in place, so that no part of it needs more than plain operators."""
    with_indices(graph, set(graph.graph.nodes))
    _unwrap(graph)
    rewriter = _Rewriter(graph.graph, _tensors_of_steps(graph, features))
    for node in list(graph.graph.nodes):
        rewrite = rewriter.rewrites.get(node.target) if node.op == "call_function" else None
        if rewrite is not None:
            rewriter.before = node
            node.replace_all_uses_with(rewrite(*node.args))
            graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()
    graph.graph.lint()
    graph.recompile()


class _Rewriter:
    """Writes plain operators; equal indices are made once.

    Args:
        like: a tensor with an element per step, by the node of the steps' lengths.
    """

    before: fx.Node

    def __init__(self, graph: fx.Graph, like: dict[fx.Node, fx.Node]) -> None:
        self.graph = graph
        self.like = like
        self.made: dict[tuple[Callable[..., torch.Tensor], fx.Node], fx.Node] = {}
        self.rewrites: dict[Any, Callable[..., fx.Node]] = {
            jagged.offsets_of: self.offsets_of,
            jagged.row_of_step: self.row_of_step,
            jagged.align_steps: self.align_steps,
            jagged.first_step: lambda values, lengths: self._call(
                first_step, values, lengths, self.offsets_of(lengths)
            ),
            jagged.ids_per_row: self.ids_per_row,
            jagged.padding_mask: lambda lengths: self._once(padding_mask, lengths),
            jagged.place_of_step: self.place_of_step,
        }

    def offsets_of(self, lengths: fx.Node) -> fx.Node:
        return self._once(offsets_of, lengths)

    def row_of_step(self, lengths: fx.Node) -> fx.Node:
        if lengths in self.like:
            return self._once(rows_of, lengths, self.like[lengths])
        return self._once(rows_of_cut, lengths)

    def align_steps(self, values: fx.Node, lengths: fx.Node, target: fx.Node) -> fx.Node:
        if lengths is target:
            return values
        offsets, starts = self.offsets_of(lengths), self.offsets_of(target)
        return self._call(align_steps, values, lengths, offsets, self.row_of_step(target), starts)

    def ids_per_row(self, key_lengths: fx.Node, lengths: fx.Node) -> fx.Node:
        return self._call(ids_per_row, self.offsets_of(key_lengths), self.offsets_of(lengths), lengths)

    def place_of_step(self, lengths: fx.Node) -> fx.Node:
        mask = self._once(padding_mask, lengths)
        return self._call(place_of_step, self.row_of_step(lengths), self.offsets_of(lengths), mask)

    def _call(self, function: Callable[..., torch.Tensor], *args: Any) -> fx.Node:
        with self.graph.inserting_before(self.before):
            return self.graph.call_function(function, args)

    def _once(self, function: Callable[..., torch.Tensor], lengths: fx.Node, *others: fx.Node) -> fx.Node:
        if (function, lengths) not in self.made:
            self.made[function, lengths] = self._call(function, lengths, *others)
        return self.made[function, lengths]


def _unwrap(graph: fx.GraphModule) -> None:
    """Takes values out of keyed and jagged tensors that the graph has just put in."""
    for node in list(graph.graph.nodes):
        if (node.op, node.target) == ("call_method", "values"):
            holder = node.args[0]
            if holder.target in (KeyedTensor, JaggedTensor):
                node.replace_all_uses_with(holder.kwargs["values"])
    graph.graph.eliminate_dead_code()


def _tensors_of_steps(graph: fx.GraphModule, features: Sequence[Feature]) -> dict[fx.Node, fx.Node]:
    """For lengths of the batch, a tensor of it that has one element per step, or per id."""
    nodes = {key: node for node in graph.graph.nodes if (key := batch_key(node)) and node.target == "to"}
    found: dict[fx.Node, fx.Node] = {}
    for feature in features:
        lengths = nodes.get(f"{feature.name}.lengths")
        if lengths is not None:
            several = feature.is_sequence and feature.is_sparse and feature.value_dim != 1
            found[lengths] = nodes[f"{feature.name}.{'key_lengths' if several else 'values'}"]
    return found
