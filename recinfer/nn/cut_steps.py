"""Shortens sequences."""

from __future__ import annotations

import torch

from recinfer.nn import jagged


def cut_steps(steps: torch.Tensor, lengths: torch.Tensor, most: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The first steps of each row: [sum of lengths, D] and [B] to the same with lengths of at most ``most``.

    Args:
        most: 0 keeps all.
    """
    if most == 0:
        return steps, lengths
    kept = torch.clamp(lengths, max=most)
    return jagged.align_steps(steps, lengths, kept), kept
