"""What a sharded model takes in one step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torchrec.streamable import Pipelineable

from recinfer.data.parser import Tensors


@dataclass(frozen=True)
class StepBatch(Pipelineable):
    """Some parsed rows.

    Attributes:
        tensors: as the parser makes them. Collections cannot look up a batch of no rows, so that of a process without
            rows has one, without ids, whose predictions nobody looks at.
        origin: where the rows come from; None for a process without rows.
    """

    tensors: Tensors
    origin: Any = None

    def to(self, device: torch.device, non_blocking: bool) -> StepBatch:
        """On a device."""
        if device.type == "cpu":
            return self
        # Only from pinned memory does a copy to a GPU not hold up the thread.
        moved = {key: each.pin_memory().to(device, non_blocking=non_blocking) for key, each in self.tensors.items()}
        return replace(self, tensors=moved)

    def record_stream(self, stream: torch.Stream) -> None:
        """Says that another stream reads the tensors."""
        for tensor in self.tensors.values():
            tensor.record_stream(stream)  # type: ignore[arg-type]
