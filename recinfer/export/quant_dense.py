"""Linear layers in INT8: weights per output channel, inputs per row.

Products of bytes are several times as fast as those of floats where the processor multiplies them by fours (VNNI), and
half as many bytes are moved everywhere. Scores change, so the parity report decides whether an export stands.
"""

from __future__ import annotations

import torch
from torch import fx, nn

from recinfer.errors import UsageError
from recinfer.nn.folded import FoldedLinear
from recinfer.nn.int8_linear import Int8Linear

# A layer of fewer products costs more to quantize its input for than it gains.
LEAST_WEIGHTS = 4096


class QuantizedFoldedLinear(nn.Module):
    """A :class:`~recinfer.nn.folded.FoldedLinear` whose products are INT8."""

    def __init__(self, folded: FoldedLinear) -> None:
        super().__init__()
        linear = nn.Linear(folded.weight.size(1), folded.weight.size(0), bias=False)
        linear.weight = folded.weight
        self.linear = Int8Linear(linear)

    def forward(self, kept: torch.Tensor, looked_up: torch.Tensor) -> torch.Tensor:
        """[B, kept] and the sums of products [B, out] to [B, out]."""
        products: torch.Tensor = self.linear(kept)
        return products.add_(looked_up)


def dense_type_name(name: str) -> str:
    """``int8`` or ``none``, from a flag or ``QUANT_DENSE``.

    Raises:
        UsageError: the name is unknown.
    """
    chosen = (name or "none").lower()
    if chosen in {"0", "off", "fp32"}:
        chosen = "none"
    if chosen not in {"none", "int8"}:
        raise UsageError(f"type of linear layers {name!r} is unknown", "use int8 or none")
    return chosen


def quantize_dense(graph: fx.GraphModule) -> list[str]:
    """Replaces the linear layers of a traced model, in the graph itself; returns their names.

    Layers whose weights are used otherwise than by a plain call, such as the first one of an attention, stay as they
    are.
    """
    done: list[str] = []
    for node in graph.graph.nodes:
        if node.op != "call_module":
            continue
        name = str(node.target)
        module = graph.get_submodule(name)
        if isinstance(module, nn.Linear | FoldedLinear) and module.weight.numel() >= LEAST_WEIGHTS:
            made = QuantizedFoldedLinear(module) if isinstance(module, FoldedLinear) else Int8Linear(module)
            graph.set_submodule(name, made)
            done.append(name)
    return done
