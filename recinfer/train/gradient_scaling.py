"""Loss scaling for FP16 beside optimizers that act inside the backward pass.

A scaler multiplies the loss, and divides the dense gradients before their update. Tables are updated before that, so
the gradient is divided on its way into them, and dropped where it overflowed: as the scaler skips that step too. Of
several ranks, each drops what overflowed of its own rows; tables still learn from the others'.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torchrec import JaggedTensor, KeyedTensor
from torchrec.distributed.embedding import ShardedEmbeddingCollection
from torchrec.distributed.embeddingbag import ShardedEmbeddingBagCollection
from torchrec.distributed.mc_embedding import ShardedManagedCollisionEmbeddingCollection
from torchrec.distributed.mc_embeddingbag import ShardedManagedCollisionEmbeddingBagCollection

SHARDED = (
    ShardedEmbeddingBagCollection,
    ShardedEmbeddingCollection,
    ShardedManagedCollisionEmbeddingBagCollection,
    ShardedManagedCollisionEmbeddingCollection,
)


class _Unscale(torch.autograd.Function):
    """Passes values on as they are, and gradients divided by the scale at hand."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, scaler: torch.amp.GradScaler) -> torch.Tensor:
        ctx.scaler = scaler
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        gradient = gradients[0] / ctx.scaler.get_scale()
        finite = torch.isfinite(gradient).all()
        return torch.where(finite, gradient, torch.zeros_like(gradient)), None


def unscale_tables(model: nn.Module, scaler: torch.amp.GradScaler) -> None:
    """Makes all sharded tables of a model learn from gradients as if there were no scaler."""

    def unscale(found: Any) -> Any:
        if not torch.is_grad_enabled():
            return found
        if isinstance(found, KeyedTensor):
            return KeyedTensor(found.keys(), found.length_per_key(), _Unscale.apply(found.values(), scaler))
        return {
            name: JaggedTensor(_Unscale.apply(steps.values(), scaler), lengths=steps.lengths())
            for name, steps in found.items()
        }

    def hook(module: nn.Module, arguments: Any, output: Any) -> None:
        # Zero-collision collections give the rows of the ids too.
        (output[0] if isinstance(output, tuple) else output).callbacks.append(unscale)

    for module in model.modules():
        if isinstance(module, SHARDED):
            module.register_forward_hook(hook)
