"""Works out at export what torchrec's lookups would work out anew in each call: where each key stands.

A traced lookup searches the list of its keys by name, once per feature, and then puts the features into an order that
they are in already. Keys are constants of the graph, so both can be done once.
"""

from __future__ import annotations

import operator
from typing import Any, cast

from torch import fx
from torchrec import KeyedJaggedTensor
from torchrec.quant import embedding_modules as lookups


def with_constant_keys(graph: fx.GraphModule) -> None:
    """Changes the graph in place."""
    for node in list(graph.graph.nodes):
        if node.op == "call_method" and node.target == "index":
            keys = _keys(node.args[0])
            if keys is not None:
                _replace_by_constant(node, keys.index(node.args[1]))
    for node in list(graph.graph.nodes):
        if node.target is lookups._permute_kjt and _in_order(node.args[0], node.args[1]):
            node.replace_all_uses_with(node.args[0])
        elif node.target is operator.getitem and _whole_split(node.args[0]):
            node.replace_all_uses_with(node.args[0].args[0])
    graph.graph.eliminate_dead_code()
    graph.graph.lint()
    graph.recompile()


def _keys(node: Any) -> list[str] | None:
    """The keys that ``_get_kjt_keys`` of a tensor made in the graph gives."""
    if not isinstance(node, fx.Node) or node.target is not lookups._get_kjt_keys:
        return None
    return _keys_of_tensor(node.args[0])


def _keys_of_tensor(node: Any) -> list[str] | None:
    if isinstance(node, fx.Node) and node.target is KeyedJaggedTensor:
        return list(cast("list[str]", node.kwargs["keys"]))
    return None


def _in_order(tensor: Any, order: Any) -> bool:
    keys = _keys_of_tensor(tensor)
    return keys is not None and list(order) == list(range(len(keys)))


def _whole_split(node: Any) -> bool:
    """Whether a node splits a tensor's keys into one part."""
    if not isinstance(node, fx.Node) or (node.op, node.target) != ("call_method", "split"):
        return False
    keys = _keys_of_tensor(node.args[0])
    return keys is not None and list(cast("list[int]", node.args[1])) == [len(keys)]


def _replace_by_constant(node: fx.Node, value: int) -> None:
    for user in list(node.users):
        user.args = fx.map_arg(user.args, lambda each: value if each is node else each)
        user.kwargs = fx.map_arg(user.kwargs, lambda each: value if each is node else each)
