"""What the ranks of a group do together beside lookups and gradients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")


class Team:
    """The ranks of a process group. All of them call the same methods in the same order.

    Args:
        group: of these ranks.
    """

    def __init__(self, group: dist.ProcessGroup) -> None:
        self.group = group
        self.rank = group.rank()
        self.size = group.size()

    @property
    def leads(self) -> bool:
        """Whether this is rank 0, which writes and speaks for all."""
        return self.rank == 0

    def wait(self) -> None:
        """Waits for the others."""
        if self.size > 1:
            dist.barrier(self.group)

    def tell(self, value: T) -> T:
        """What rank 0 says; other ranks' values are not looked at."""
        if self.size == 1:
            return value
        said: list[Any] = [value]
        dist.broadcast_object_list(said, group=self.group, group_src=0)
        told: T = said[0]
        return told

    def gather(self, value: T) -> list[T] | None:
        """The values of all ranks, by rank, on rank 0; None on the others."""
        if self.size == 1:
            return [value]
        found: list[Any] | None = [None] * self.size if self.leads else None
        dist.gather_object(value, found, group=self.group, group_dst=0)
        return found

    def total(self, value: float) -> float:
        """The sum over ranks."""
        if self.size == 1:
            return value
        found = torch.tensor([value], dtype=torch.float64, device=self._device)
        dist.all_reduce(found, group=self.group)
        return float(found)

    @torch.no_grad()
    def concatenate(self, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Each of some tensors [n] of one dtype, with those of all ranks one after the other; n differs by rank."""
        if self.size == 1:
            return list(tensors)
        mine = torch.tensor([each.numel() for each in tensors], device=self._device)
        sizes = [torch.empty_like(mine) for _ in range(self.size)]
        dist.all_gather(sizes, mine, group=self.group)
        longest = max(int(each.sum()) for each in sizes)
        flat = torch.cat(list(tensors))
        padded = torch.nn.functional.pad(flat, (0, longest - flat.numel()))
        found = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(found, padded, group=self.group)
        parts = [
            each.split([*size.tolist(), longest - int(size.sum())]) for each, size in zip(found, sizes, strict=True)
        ]
        return [torch.cat([part[position] for part in parts]) for position in range(len(tensors))]

    @torch.no_grad()
    def average(self, tensors: Iterable[torch.Tensor]) -> None:
        """Replaces floating point tensors by their means over ranks."""
        if self.size == 1:
            return
        for each in tensors:
            dist.all_reduce(each, group=self.group)
            each /= self.size

    @property
    def _device(self) -> torch.device:
        return torch.device("cuda" if dist.get_backend(self.group) == "nccl" else "cpu")


def statistics(module: torch.nn.Module) -> Sequence[torch.Tensor]:
    """What batch normalisation has counted: each rank sees other rows, and so has other numbers."""
    kinds = torch.nn.modules.batchnorm._BatchNorm
    return [
        buffer
        for part in module.modules()
        if isinstance(part, kinds)
        for buffer in (part.running_mean, part.running_var)
        if buffer is not None
    ]
