"""The graph of a scripted model, read without running it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

import torch

# What passes a tensor on as it is, for the purpose of finding where it is stored.
PASSING = frozenset({"aten::to", "aten::detach", "aten::contiguous", "prim::unchecked_cast"})


class ScriptedGraph:
    """Everything that one scripted file says about itself.

    Args:
        model: loaded; its graph is inlined, so that every operator is seen.
    """

    def __init__(self, model: torch.jit.ScriptModule) -> None:
        self.model = model
        self.graph = model.inlined_graph
        self.nodes = list(_nodes(self.graph))

    def operators(self) -> dict[str, int]:
        """How often each operator occurs, by qualified name such as ``aten::linear``, most frequent first.

        Counted are places in the code, not runs; the language's own ``prim::`` is left out.
        """
        counts = Counter(node.kind() for node in self.nodes if not node.kind().startswith("prim::"))
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def find(self, *names: str) -> list[Any]:
        """Calls of operators, in the order of the code."""
        return [node for node in self.nodes if node.kind() in names]

    def input_keys(self) -> list[str]:
        """Keys that the model reads from its first input, a dict, in the order of the code."""
        inputs = list(self.graph.inputs())
        data = inputs[1].debugName() if len(inputs) > 1 else ""
        read = (node for node in self.find("aten::__getitem__") if node.inputsAt(0).debugName() == data)
        keys = (constant(node.inputsAt(1)) for node in read)
        return list(dict.fromkeys(key for key in keys if isinstance(key, str)))

    def output_keys(self) -> list[str]:
        """Keys of the dict that the model returns, where the code spells it out; else empty."""
        made = next(self.graph.outputs()).node()
        if made.kind() != "prim::DictConstruct":
            return []
        return [str(constant(value)) for value in list(made.inputs())[::2]]

    def name_lists(self) -> list[list[str]]:
        """Lists of strings that the code spells out, such as the keys of what a lookup gives, without repetition."""
        found: list[list[str]] = []
        for node in self.find("prim::ListConstruct"):
            names = [constant(value) for value in node.inputs()]
            if names and all(isinstance(name, str) for name in names) and names not in found:
                found.append(names)
        return found

    def stored(self, value: Any) -> tuple[str, torch.Tensor] | None:
        """The tensor that a value of the graph is, and its name, if the file stores it; None if it is computed."""
        found = self.attribute(value)
        return found if found is not None and isinstance(found[1], torch.Tensor) else None

    def attribute(self, value: Any) -> tuple[str, Any] | None:
        """What a value of the graph is, and its name, if it is an attribute of the model or a constant tensor."""
        node = value.node()
        while node.kind() in PASSING:
            node = node.inputsAt(0).node()
        if node.kind() == "prim::Constant" and isinstance(node.output().toIValue(), torch.Tensor):
            return "", node.output().toIValue()
        path: list[str] = []
        while node.kind() == "prim::GetAttr":
            path.append(node.s("name"))
            node = node.inputsAt(0).node()
        if not path or node.kind() != "prim::Param":
            return None
        held: Any = self.model
        for name in reversed(path):
            held = getattr(held, name)
        return ".".join(reversed(path)), held

    def numbers(self, without: Collection[str]) -> tuple[int, int]:
        """How many numbers the layers of the model store, and their bytes: floats, and weights in INT8.

        Args:
            without: names of tensors to leave out; batched tables, which are unsigned bytes, never count.
        """
        held = {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}
        counted = [
            each
            for name, each in held.items()
            if (each.is_floating_point() or each.dtype == torch.int8) and name not in without
        ]
        return sum(each.numel() for each in counted), sum(each.nbytes for each in counted)


def constant(value: Any) -> Any:
    """What a value of a graph is, if the code spells it out; else None."""
    return value.toIValue() if value.node().kind() == "prim::Constant" else None


def _nodes(block: Any) -> Iterator[Any]:
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from _nodes(inner)
