"""Refuses negative ids inside a traced model: its lookups refuse those beyond a table, but take -1 for none."""

from __future__ import annotations

from torch import fx
from torchrec import KeyedJaggedTensor

from recinfer.nn import jagged


def with_checked_ids(graph: fx.GraphModule) -> None:
    """Changes the graph in place."""
    for node in list(graph.graph.nodes):
        if node.op == "call_function" and node.target is KeyedJaggedTensor:
            with graph.graph.inserting_before(node):
                checked = graph.graph.call_function(jagged.not_negative, (node.kwargs["values"],))
            node.kwargs = {**node.kwargs, "values": checked}
    graph.graph.lint()
    graph.recompile()
