"""Folds small tables into the linear layers that read them, in a traced model.

It takes memory (table rows x layer width x 4 bytes) for matrix products, and is exact to rounding: ``nn/folded.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import fx, nn

from recinfer.export.fold_columns import Piece, columns_of
from recinfer.export.fold_layers import FoldedTable, replace_layers
from recinfer.nn.pooled_embeddings import PooledEmbeddings

# Looking a product up reads a line of it per id; below this width, multiplying is as cheap.
SMALLEST_DIM = 8
# Each further id of a row is a further line to read, while a pooled embedding is multiplied once.
MOST_IDS_A_ROW = 2.0


@dataclass
class FoldReport:
    """What was folded.

    Attributes:
        layers: names of the linear layers.
        features: looked up as products.
        bytes: of the products.
    """

    layers: list[str] = field(default_factory=list)
    features: list[str] = field(default_factory=list)
    bytes: int = 0

    def to_json(self) -> dict[str, Any]:
        """As ``recinfer.json`` holds it."""
        return asdict(self)


def fold_tables(graph: fx.GraphModule, model: nn.Module, data: Mapping[str, torch.Tensor], budget: int) -> FoldReport:
    """Folds what fits, smallest tables first, and changes the graph in place.

    Args:
        graph: of the model with inference tables, as :func:`~recinfer.export.script.trace` makes it.
        model: with its trained tables; left as it is.
        data: a parsed batch, which says how wide each input is and how many ids a row has.
        budget: bytes that products may take.
    """
    report = FoldReport()
    pooled = [module for module in model.modules() if isinstance(module, PooledEmbeddings)]
    tables = _foldable(pooled[0], data) if len(pooled) == 1 and budget > 0 else {}
    if not tables:
        return report
    columns = columns_of(graph, data)
    for place, (source, layers) in enumerate(_linear_layers(graph).items()):
        pieces = columns.pieces(source)
        width = sum(linear.out_features for _, linear in layers)
        folded = _choose(pieces, tables, width, budget - report.bytes)
        if folded:
            replace_layers(graph, f"folded_{place}", layers, pieces, folded, columns)
            report.layers += [str(node.target) for node, _ in layers]
            report.features += [each.feature for each in folded.values() if each.feature not in report.features]
            report.bytes += sum(each.bytes(width) for each in folded.values())
    graph.graph.eliminate_dead_code()
    graph.delete_all_unused_submodules()
    graph.graph.lint()
    graph.recompile()
    return report


def _foldable(pooled: PooledEmbeddings, data: Mapping[str, torch.Tensor]) -> dict[str, FoldedTable]:
    """Lookups that a linear layer may take as products, by key."""
    found: dict[str, FoldedTable] = {}
    if pooled.weighted:
        return found
    tables = {table.name: table for table in pooled.tables}
    for key, (feature, name) in pooled.lookups.items():
        if name not in tables:
            continue
        ids_a_row = data[f"{feature}.values"].numel() / max(data[f"{feature}.lengths"].numel(), 1)
        fits = tables[name].pooling == "sum" and tables[name].dim >= SMALLEST_DIM and ids_a_row <= MOST_IDS_A_ROW
        if fits:
            found[key] = FoldedTable(feature, pooled.ebc.embedding_bags[name].weight.detach())
    return found


def _linear_layers(graph: fx.GraphModule) -> dict[fx.Node, list[tuple[fx.Node, nn.Linear]]]:
    """Calls of linear layers, by the node that they read."""
    found: dict[fx.Node, list[tuple[fx.Node, nn.Linear]]] = {}
    for node in graph.graph.nodes:
        module = graph.get_submodule(node.target) if node.op == "call_module" else None
        if isinstance(module, nn.Linear):
            found.setdefault(node.args[0], []).append((node, module))
    return found


def _choose(
    pieces: Sequence[Piece], tables: Mapping[str, FoldedTable], width: int, budget: int
) -> dict[int, FoldedTable]:
    """Which pieces become products, by their place: smallest first, as long as they fit."""
    found = {place: tables[piece.key] for place, piece in enumerate(pieces) if piece.key in tables}
    chosen: set[int] = set()
    for place in sorted(found, key=lambda each: found[each].bytes(width)):
        budget -= found[place].bytes(width)
        if budget < 0:
            break
        chosen.add(place)
    if len(chosen) == len(pieces):
        # A layer of products alone would have nothing left to multiply.
        chosen.remove(max(chosen, key=lambda each: found[each].bytes(width)))
    return {place: found[place] for place in sorted(chosen)}
