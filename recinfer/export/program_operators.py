"""The operators of an exported program, which machine code made of it no longer tells."""

from __future__ import annotations

from collections import Counter

import torch
from torch import fx


def program_operators(program: torch.export.ExportedProgram) -> dict[str, int]:
    """How often each operator occurs, by qualified name such as ``aten::linear``, most frequent first."""
    counts = Counter(
        node.target.name().partition(".")[0]
        for module in program.graph_module.modules()
        if isinstance(module, fx.GraphModule)
        for node in module.graph.nodes
        if isinstance(node.target, torch._ops.OpOverload)
    )
    return dict(counts.most_common())
