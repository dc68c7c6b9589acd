"""Which columns of a traced layer's input are pooled lookups, and of which feature."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import fx
from torchrec import KeyedTensor

from recinfer.export.observe import observe


@dataclass(frozen=True)
class Piece:
    """A run of columns of a layer's input.

    Attributes:
        node: that makes them, [B, ...].
        first, last: columns of the node, the last excluded.
        key: of the lookup that they are, "" for other inputs.
    """

    node: fx.Node
    first: int
    last: int
    key: str = ""

    @property
    def width(self) -> int:
        """Columns."""
        return self.last - self.first


@dataclass(frozen=True)
class Columns:
    """What is known of a traced model's two-dimensional values.

    Attributes:
        widths: columns of each node.
        lookups: (key, width) of each pooled lookup, in order, by the node that holds them side by side.
    """

    widths: Mapping[fx.Node, int]
    lookups: Mapping[fx.Node, Sequence[tuple[str, int]]]

    def pieces(self, node: fx.Node) -> list[Piece]:
        """The columns of a node, in order; concatenations and slices are looked through."""
        return list(self._pieces(node))

    def _pieces(self, node: fx.Node) -> Iterator[Piece]:
        if node in self.lookups:
            yield from self._lookups(node, 0, self.widths[node])
        elif node.target is torch.cat and _cat_dim(node) == 1:
            for each in node.args[0]:  # type: ignore[union-attr]
                yield from self._pieces(each)  # type: ignore[arg-type]
        elif (columns := _slice(node)) is not None and node.args[0] in self.lookups:
            yield from self._lookups(node.args[0], *columns)  # type: ignore[arg-type]
        else:
            yield Piece(node, 0, self.widths[node])

    def _lookups(self, node: fx.Node, first: int, last: int) -> Iterator[Piece]:
        start = 0
        for key, width in self.lookups[node]:
            if first <= start and start + width <= last:
                yield Piece(node, start, start + width, key)
            start += width

    def side_by_side(self, graph: fx.Graph, pieces: Sequence[Piece]) -> fx.Node:
        """Adds the node that holds pieces side by side; neighbours come as one slice."""
        runs: list[Piece] = []
        for piece in pieces:
            if runs and runs[-1].node is piece.node and runs[-1].last == piece.first:
                runs[-1] = Piece(piece.node, runs[-1].first, piece.last)
            else:
                runs.append(piece)
        parts = [
            run.node
            if run.width == self.widths[run.node]
            else graph.call_function(operator.getitem, (run.node, (slice(None), slice(run.first, run.last))))
            for run in runs
        ]
        return parts[0] if len(parts) == 1 else graph.call_function(torch.cat, (parts,), {"dim": 1})


def columns_of(graph: fx.GraphModule, data: Mapping[str, torch.Tensor]) -> Columns:
    """Learns the columns of a scorable graph by running it on a batch."""
    widths = {node: each.shape[1] for node, each in observe(graph, data).items() if len(each.shape) == 2}
    lookups: dict[fx.Node, Sequence[tuple[str, int]]] = {}
    for node in graph.graph.nodes:
        if node.op == "call_function" and node.target is KeyedTensor:
            columns = list(zip(node.kwargs["keys"], node.kwargs["length_per_key"], strict=True))
            lookups.update(dict.fromkeys(_outputs(node), columns))
    return Columns(widths, lookups)


def _outputs(node: fx.Node) -> Iterator[fx.Node]:
    """``.values().to(float32)`` of a keyed tensor."""
    for values in node.users:
        if values.op == "call_method" and values.target == "values":
            yield from (user for user in values.users if user.op == "call_method" and user.target == "to")


def _cat_dim(node: fx.Node) -> int:
    return int(node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0))  # type: ignore[arg-type]


def _slice(node: fx.Node) -> tuple[int, int] | None:
    """The columns that ``value[:, first:last]`` takes."""
    if node.target is not operator.getitem or not isinstance(node.args[1], tuple) or len(node.args[1]) != 2:
        return None
    rows, columns = node.args[1]
    if rows != slice(None) or not isinstance(columns, slice) or columns.step is not None:
        return None
    return int(columns.start or 0), int(columns.stop)  # type: ignore[arg-type]
