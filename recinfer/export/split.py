"""Splits a traced model behind its embedding lookups, into a sparse part and a dense one.

The sparse part holds what depends on the values of its inputs: lookups, pooling, padding, and indices that say which
step belongs to which row. The dense part holds the parameters and what computes with them: its shapes follow from the
shapes of its inputs, so it can be compiled ahead of time.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import fx

from recinfer.errors import ModelError
from recinfer.export.indexed_steps import with_indices
from recinfer.export.observe import TensorLike, observe
from recinfer.nn import jagged, tiling
from recinfer.nn.folded import FoldedIds, FoldedLinear, FoldedLookup

# Their results depend on the values of their inputs, so a compiler cannot take them.
VALUE_DEPENDENT = {
    jagged.align_steps,
    jagged.first_step,
    jagged.ids_per_row,
    jagged.offsets_of,
    jagged.padding_mask,
    jagged.place_of_step,
    jagged.pool_steps,
    jagged.row_of_step,
    tiling.counts_of,
    tiling.tile_rows,
    tiling.tile_steps,
    tiling.user_of_row,
    tiling.with_empty_rows,
}


@dataclass(frozen=True)
class Split:
    """The two parts of a model.

    Attributes:
        sparse: ``forward(data, device) -> Dict[str, Tensor]``.
        dense: ``forward(*inputs) -> Dict[str, Tensor]``.
        inputs: keys of ``sparse``'s result, in the order in which ``dense`` takes them.
    """

    sparse: fx.GraphModule
    dense: fx.GraphModule
    inputs: list[str]


def split(graph: fx.GraphModule, data: Mapping[str, torch.Tensor]) -> Split:
    """Splits a scorable graph, which is changed on the way.

    Args:
        graph: as :func:`~recinfer.export.script.trace` makes it, with or without folded tables.
        data: a batch that has rows and steps.

    Raises:
        ModelError: something that depends on values comes behind parameters.
    """
    trained = _behind_parameters(graph, observe(graph, data))
    with_indices(graph, trained)
    tensors = observe(graph, data)
    sparse = _sparse_nodes(graph, tensors, _behind_parameters(graph, tensors))
    crossing = [node for node in graph.graph.nodes if node in sparse and any(user not in sparse for user in node.users)]
    constants = [node for node in crossing if node.op == "get_attr"]
    unfit = [node.name for node in crossing if node not in tensors and node.op != "get_attr"]
    if unfit:
        raise ModelError(f"the model cannot be split: {', '.join(unfit)} would have to cross", "export without --aot")
    crossing = [node for node in crossing if node.op != "get_attr"]
    names = {node: batch_key(node) or node.name for node in crossing}
    return Split(
        _sparse_part(graph, sparse, names),
        _dense_part(graph, sparse, names, constants),
        list(names.values()),
    )


def _behind_parameters(graph: fx.GraphModule, tensors: Mapping[fx.Node, TensorLike]) -> set[fx.Node]:
    """Nodes whose value depends on parameters of the dense part."""
    found: set[fx.Node] = set()
    parameters = {name for name, _ in graph.named_parameters()}
    for node in graph.graph.nodes:
        if node.op == "get_attr":
            behind = node.target in parameters
        elif node.op == "call_module":
            module = graph.get_submodule(node.target)
            looks_up = isinstance(module, FoldedIds | FoldedLookup) or not _is_float(node, tensors)
            behind = not looks_up or _any(node, found)
        else:
            behind = _any(node, found)
        if behind:
            found.add(node)
    return found


def _sparse_nodes(graph: fx.GraphModule, tensors: Mapping[fx.Node, TensorLike], trained: set[fx.Node]) -> set[fx.Node]:
    """The lookups, whatever depends on values, and all that they need."""
    found: set[fx.Node] = set()
    for node in reversed(graph.graph.nodes):
        if node.op == "output":
            continue
        if node.op == "placeholder" or _is_input(node):
            needed = True
        elif node in trained:
            needed = False
            if node.target in VALUE_DEPENDENT or any(user in found for user in node.users):
                raise ModelError(
                    f"the model cannot be split: {node.name} depends on values and on parameters",
                    "export without --aot",
                )
        else:
            needed = any(user in found for user in node.users) or _looks_up(graph, node, tensors)
        if needed:
            found.add(node)
    return found


def _looks_up(graph: fx.GraphModule, node: fx.Node, tensors: Mapping[fx.Node, TensorLike]) -> bool:
    if node.op == "call_module":
        return isinstance(graph.get_submodule(str(node.target)), FoldedIds | FoldedLookup) or node not in tensors
    if node.op == "get_attr":
        return False
    if node.target in VALUE_DEPENDENT or node not in tensors:
        return True
    # What a jagged or keyed tensor is asked for, and the conversion that follows.
    asked = any(each not in tensors and not _is_device(each) for each in node.all_input_nodes)
    return asked or (node.target == "to" and _looks_up(graph, node.all_input_nodes[0], tensors))


def _is_device(node: fx.Node) -> bool:
    return node.op == "placeholder"


def _is_input(node: fx.Node) -> bool:
    """Whether a node is a tensor of the batch, before or after it moved to the device."""
    if node.op == "call_method" and node.target == "to":
        return _is_input(node.all_input_nodes[0])
    return node.target is operator.getitem and node.all_input_nodes[0].op == "placeholder"


def _is_float(node: fx.Node, tensors: Mapping[fx.Node, TensorLike]) -> bool:
    return node in tensors and tensors[node].is_float


def _any(node: fx.Node, among: set[fx.Node]) -> bool:
    return any(each in among for each in node.all_input_nodes)


def batch_key(node: fx.Node) -> str:
    """The key of a tensor of the batch, before or after it moved to the device; "" for other nodes."""
    if not _is_input(node):
        return ""
    source = node.all_input_nodes[0] if node.target == "to" else node
    return str(source.args[1])


def with_arguments(graph: fx.GraphModule) -> tuple[fx.GraphModule, list[str]]:
    """A scorable graph as ``forward(*tensors) -> Dict[str, Tensor]``, and the keys of the batch that it takes."""
    inputs = {node for node in graph.graph.nodes if node.op == "placeholder" or _is_input(node)}
    taken = {node: batch_key(node) for node in graph.graph.nodes if node in inputs and node.target == "to"}
    names = {node: key for node, key in taken.items() if node.users}
    return _dense_part(graph, inputs, names, []), list(names.values())


def _sparse_part(graph: fx.GraphModule, sparse: set[fx.Node], names: Mapping[fx.Node, str]) -> fx.GraphModule:
    made = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in graph.graph.nodes:
        if node in sparse:
            copies[node] = made.node_copy(node, lambda each: copies[each])
    made.output({name: copies[node] for node, name in names.items()}, dict[str, torch.Tensor])
    return _module(graph, made)


def _dense_part(
    graph: fx.GraphModule, sparse: set[fx.Node], names: Mapping[fx.Node, str], constants: Sequence[fx.Node]
) -> fx.GraphModule:
    made = fx.Graph()
    copies = {node: made.placeholder(re.sub(r"\W", "_", name)) for node, name in names.items()}
    copies |= {node: made.node_copy(node) for node in constants}
    for node in graph.graph.nodes:
        if node not in sparse and node not in copies:
            copies[node] = made.node_copy(node, lambda each: copies[each])
    dense = _module(graph, made)
    for module in dense.modules():
        if isinstance(module, FoldedLinear):
            # What comes from the other part is not to be changed here.
            module.in_place = False
    return dense


def _module(graph: fx.GraphModule, made: fx.Graph) -> fx.GraphModule:
    module = fx.GraphModule(graph, made)
    module.graph.eliminate_dead_code()
    module.graph.lint()
    module.delete_all_unused_submodules()
    module.recompile()
    return module
