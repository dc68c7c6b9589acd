"""Batches without rows, which torchrec's collections cannot look up."""

from __future__ import annotations

import torch

Tensors = dict[str, torch.Tensor]


def has_no_rows(batch: Tensors) -> bool:
    """Whether a parsed batch has zero rows; False where a tracer hides how many there are."""
    rows = next((tensor.size(0) for key, tensor in batch.items() if _is_per_row(key, batch)), None)
    return isinstance(rows, int) and rows == 0


def with_an_empty_row(batch: Tensors) -> Tensors:
    """A batch of zero rows with one row added: no ids, no steps, and zeros for numbers."""
    return {
        key: tensor.new_zeros((1, *tensor.shape[1:])) if _is_per_row(key, batch) else tensor
        for key, tensor in batch.items()
    }


def _is_per_row(key: str, batch: Tensors) -> bool:
    """Whether a tensor's first dimension counts rows, not ids or steps."""
    name, _, part = key.rpartition(".")
    return part == "lengths" or (part == "values" and f"{name}.lengths" not in batch)
