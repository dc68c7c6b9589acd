"""Replaces linear layers of a traced model by lookups of products."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import fx, nn

from recinfer.export.fold_columns import Columns, Piece
from recinfer.nn import tiling
from recinfer.nn.folded import FoldedIds, FoldedLinear, FoldedLookup


@dataclass(frozen=True)
class FoldedTable:
    """A lookup that becomes products: a feature, and its table [rows, dim]."""

    feature: str
    weight: torch.Tensor

    def bytes(self, width: int) -> int:
        """Of the products with layers of a total width."""
        return len(self.weight) * width * 4


def replace_layers(
    graph: fx.GraphModule,
    name: str,
    layers: Sequence[tuple[fx.Node, nn.Linear]],
    pieces: Sequence[Piece],
    folded: Mapping[int, FoldedTable],
    columns: Columns,
) -> None:
    """Changes all layers that read the same columns.

    Args:
        name: of the new submodule.
        layers: calls, in order, and what they call.
        pieces: the columns that they read.
        folded: tables of the pieces that become products, by the place of the piece.
        columns: of the graph.
    """
    tables = list(folded.values())
    sizes = [len(table.weight) for table in tables]
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    modules = nn.ModuleDict({"ids": FoldedIds(starts, sum(sizes))})
    for place, (_, linear) in enumerate(layers):
        modules[f"products_{place}"], modules[f"layer_{place}"] = _folded(linear, pieces, folded)
    graph.add_submodule(name, modules)
    with graph.graph.inserting_before(layers[0][0]):
        values = [_input(graph.graph, f"{table.feature}.values") for table in tables]
        lengths = [_input(graph.graph, f"{table.feature}.lengths") for table in tables]
        bags = graph.graph.call_module(f"{name}.ids", (values, lengths))
        ids, offsets = (graph.graph.call_function(operator.getitem, (bags, place)) for place in (0, 1))
        kept = columns.side_by_side(graph.graph, [piece for place, piece in enumerate(pieces) if place not in folded])
    for place, (call, _) in enumerate(layers):
        with graph.graph.inserting_before(call):
            looked_up = graph.graph.call_module(f"{name}.products_{place}", (ids, offsets))
            made = graph.graph.call_module(f"{name}.layer_{place}", (kept, looked_up))
        call.replace_all_uses_with(made)
        graph.graph.erase_node(call)


def _folded(
    linear: nn.Linear, pieces: Sequence[Piece], folded: Mapping[int, FoldedTable]
) -> tuple[FoldedLookup, FoldedLinear]:
    products: list[torch.Tensor] = []
    kept: list[torch.Tensor] = []
    weight = linear.weight.detach()
    for place, columns in enumerate(weight.split([piece.width for piece in pieces], dim=1)):
        if place in folded:
            # In double precision, so that a product is as exact as a float can be.
            products.append(folded[place].weight.double() @ columns.double().t())
        else:
            kept.append(columns)
    bias = torch.zeros(len(weight)) if linear.bias is None else linear.bias.detach()
    table = torch.cat([*products, bias.double().unsqueeze(0)]).float()
    return FoldedLookup(table), FoldedLinear(torch.cat(kept, dim=1))


def _input(graph: fx.Graph, key: str) -> fx.Node:
    """A tensor of the batch, on the model's device, with an entry for each row."""
    for node in graph.nodes:
        if node.target is operator.getitem and node.args[1] == key:
            moved = next(user for user in node.users if user.op == "call_method" and user.target == "to")
            tiles = (tiling.tile_rows, tiling.tile_steps)
            return next((user for user in moved.users if user.target in tiles and user.args[0] is moved), moved)
    raise KeyError(key)
