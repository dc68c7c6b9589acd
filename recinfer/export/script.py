"""A model as one TorchScript file that needs torch and the fbgemm operators only."""

from collections.abc import Sequence
from pathlib import Path
from typing import Dict, cast  # noqa: UP035

import torch
from torch import nn
from torchrec.fx import Tracer

from recinfer.export.checked_ids import with_checked_ids
from recinfer.export.constant_keys import with_constant_keys
from recinfer.export.tile import TiledScorable, Tiling
from recinfer.features.base import Feature
from recinfer.features.example import batch_keys, example_batch
from recinfer.nn.pooled_embeddings import PooledEmbeddings
from recinfer.nn.tiling import with_batch_size
from recinfer.predict.device import CPU
from recinfer.predict.export_scorer import SCRIPTED

CODE = "gm.code"

# Table lookups stay calls of their operator; the tracer must not step into them.
LEAVES = ["IntNBitTableBatchedEmbeddingBagsCodegen", "SlotRemap"]


class Scorable(nn.Module):
    """The signature of an export: ``forward(data, device) -> predictions``.

    Args:
        model: with inference tables.
        keys: of the batch that the model reads.
    """

    def __init__(self, model: nn.Module, keys: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.keys = list(keys)

    # TorchScript reads these annotations out of the traced graph: it wants them evaluated, and `Dict` by that name.
    def forward(
        self,
        data: Dict[str, torch.Tensor],  # noqa: UP006
        device: torch.device = "cpu",  # type: ignore[assignment]
    ) -> Dict[str, torch.Tensor]:  # noqa: UP006
        """Moves a parsed batch to the device and scores it."""
        return cast("dict[str, torch.Tensor]", self.model({key: data[key].to(device) for key in self.keys}))


def trace(
    model: nn.Module, features: Sequence[Feature], how: Tiling | None = None, device: torch.device = CPU
) -> torch.fx.GraphModule:
    """The model as a graph, readable as code (``.code``).

    Args:
        model: with inference tables, in eval mode.
        features: those that the model reads.
        how: user-side features come once per user, if given.
        device: that the model lies on.
    """
    keys = [key for feature in features for key in batch_keys(feature)]
    scorable = (Scorable(model, keys) if how is None else TiledScorable(model, features, how)).eval()
    for module in model.modules():
        if isinstance(module, PooledEmbeddings):
            module.forget_layout()
    with torch.no_grad():
        scorable(with_batch_size(example_batch(features, 2), 2), device)
    graph = Tracer(leaf_modules=LEAVES).trace(scorable)
    traced = torch.fx.GraphModule(scorable, graph)
    with_constant_keys(traced)
    with_checked_ids(traced)
    return traced


def write_scripted(graph: torch.fx.GraphModule, features: Sequence[Feature], folder: Path) -> None:
    """Writes ``scripted_model.pt``, and the code that it was made of."""
    (folder / CODE).write_text(graph.code, encoding="utf-8")
    script(graph).save(str(folder / SCRIPTED))


def script(graph: torch.fx.GraphModule) -> torch.jit.ScriptModule:
    """Compiles a traced model."""
    return cast("torch.jit.ScriptModule", torch.jit.script(graph))
