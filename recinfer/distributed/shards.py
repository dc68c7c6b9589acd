"""What one rank holds of a tensor that may lie on several."""

from __future__ import annotations

from typing import Any

import torch

Part = tuple[tuple[int, ...], torch.Tensor]


def local_parts(tensor: Any) -> list[Part]:
    """(offsets, memory) of what this rank holds: all of a plain tensor, no or some parts of a sharded one."""
    shards = getattr(tensor, "local_shards", None)
    if shards is None:
        return [((0,) * tensor.dim(), tensor.detach())]
    return [(tuple(shard.metadata.shard_offsets), shard.tensor.detach()) for shard in shards()]


def live_shape(tensor: Any) -> tuple[int, ...]:
    """The shape of a whole tensor; a sharded one keeps it in its metadata (asking itself is deprecated)."""
    metadata = getattr(tensor, "metadata", None)
    return tuple(metadata().size if metadata is not None else tensor.shape)


def part_of(whole: torch.Tensor, part: Part) -> torch.Tensor:
    """The view of a whole tensor that a part stands for."""
    offsets, piece = part
    for dim, (offset, size) in enumerate(zip(offsets, piece.shape, strict=True)):
        whole = whole.narrow(dim, offset, size)
    return whole


@torch.no_grad()
def copy_parts(tensor: Any, whole: torch.Tensor) -> None:
    """Fills what this rank holds of a tensor from a whole one."""
    for part in local_parts(tensor):
        part[1].copy_(part_of(whole, part))
