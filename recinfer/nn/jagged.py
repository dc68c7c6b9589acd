"""Sequences without padding: all steps of a batch one after the other, and how many each row has.

These functions stay whole when a model is traced (``torch.fx.wrap``), because their work depends on the lengths; they
are then compiled by TorchScript, so they use tensors and integers only. Tracing finds them by their name in this
module: call them as ``jagged.name(...)``, since a name imported elsewhere would be traced through.
"""

from __future__ import annotations

import torch


@torch.fx.wrap
def offsets_of(lengths: torch.Tensor) -> torch.Tensor:
    """Where each row's steps begin, and the total: int64 [B + 1]."""
    return torch.ops.fbgemm.asynchronous_complete_cumsum(lengths.to(torch.int64))


@torch.fx.wrap
def align_steps(values: torch.Tensor, lengths: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Gives each row the target number of steps: zeros are added at its end, or its last steps are cut.

    Args:
        values: [sum of lengths, D].
        lengths: steps per row as they are, [B].
        target: steps per row as they shall be, [B].

    Returns:
        [sum of target, D].
    """
    if torch.equal(lengths, target):
        return values
    longest = int(target.max().item())
    offsets = offsets_of(lengths)
    padded = torch.ops.fbgemm.jagged_to_padded_dense(values, [offsets], [longest], 0.0)
    keep = torch.arange(longest, device=values.device).unsqueeze(0) < target.unsqueeze(1)
    return padded[keep]


@torch.fx.wrap
def pool_steps(values: torch.Tensor, key_lengths: torch.Tensor, mean: bool) -> torch.Tensor:
    """Pools the values inside each step: [sum of key_lengths, D] to [steps, D]; an empty step is zeros."""
    indices = torch.arange(values.size(0), device=values.device)
    offsets = offsets_of(key_lengths)
    return torch.embedding_bag(values, indices, offsets, False, 1 if mean else 0, False, None, True)[0]


@torch.fx.wrap
def first_step(values: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """The first step of each row, zeros where there is none: [sum, D] to [B, D]."""
    return torch.ops.fbgemm.jagged_to_padded_dense(values, [offsets_of(lengths)], [1], 0.0).squeeze(1)


@torch.fx.wrap
def repeat_rows(rows: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Each row once per step: [B, ...] to [sum, ...]."""
    return torch.repeat_interleave(rows, lengths.to(torch.int64), dim=0)


@torch.fx.wrap
def softmax_over_steps(scores: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Softmax inside each row: scores [sum, 1] to weights [sum]."""
    offsets = offsets_of(lengths)
    longest = int(lengths.max().item()) if lengths.numel() > 0 else 0
    padded = torch.ops.fbgemm.jagged_to_padded_dense(scores, [offsets], [longest], -1e30).squeeze(2)
    keep = torch.arange(longest, device=scores.device).unsqueeze(0) < lengths.unsqueeze(1)
    return torch.softmax(padded, dim=1)[keep]


@torch.fx.wrap
def weighted_sum(values: torch.Tensor, weights: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """The weighted sum of each row's steps: values [sum, D], weights [sum] to [B, D]; zeros without steps."""
    indices = torch.arange(values.size(0), device=values.device)
    return torch.embedding_bag(values, indices, offsets_of(lengths), False, 0, False, weights.to(values.dtype), True)[0]


@torch.fx.wrap
def ids_per_row(key_lengths: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Ids per row, [B], from ids per step [steps] and steps per row [B]."""
    return torch.diff(offsets_of(key_lengths)[offsets_of(lengths)]).to(lengths.dtype)


@torch.fx.wrap
def to_padded(values: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Steps as a padded tensor: [sum of lengths, D] to [B, longest, D], zeros behind each row's last step."""
    longest = int(lengths.max().item()) if lengths.numel() > 0 else 0
    return torch.ops.fbgemm.jagged_to_padded_dense(values, [offsets_of(lengths)], [longest], 0.0)


@torch.fx.wrap
def row_of_step(lengths: torch.Tensor) -> torch.Tensor:
    """The row that each step belongs to: int64 [sum of lengths]."""
    rows = torch.arange(lengths.size(0), device=lengths.device)
    return torch.repeat_interleave(rows, lengths.to(torch.int64))


@torch.fx.wrap
def padding_mask(lengths: torch.Tensor) -> torch.Tensor:
    """Which places of a tensor padded to the longest row hold a step: bool [B, longest]."""
    longest = int(lengths.max().item()) if lengths.numel() > 0 else 0
    return torch.arange(longest, device=lengths.device).unsqueeze(0) < lengths.unsqueeze(1)


@torch.fx.wrap
def place_of_step(lengths: torch.Tensor) -> torch.Tensor:
    """Where each step lies in a tensor padded to the longest row and flattened: int64 [sum of lengths]."""
    return padding_mask(lengths).flatten().nonzero().squeeze(1)


@torch.fx.wrap
def not_negative(ids: torch.Tensor) -> torch.Tensor:
    """The ids as they are; fbgemm's lookups take -1 for an id without an embedding, which no id of ours is."""
    if ids.numel() > 0 and int(ids.min().item()) < 0:
        raise ValueError("an id is negative")
    return ids
