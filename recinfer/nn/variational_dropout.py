"""Dropout that learns how much each feature of a group matters."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class VariationalDropout(nn.Module):
    """Concrete dropout with one learned rate per feature (Gal et al., NeurIPS 2017, arXiv:1705.07832), for feature
    ranking (Chang et al., ICLR 2018, arXiv:1712.08645).

    A feature's rate is ``sigmoid(feature_p)``. In training each row keeps a feature by a relaxed coin toss; else every
    feature is scaled by the chance to be kept.

    Args:
        dims: width of each feature of the group.
        regularization: strength of the penalty on features that are kept.
    """

    temperature = 0.1

    def __init__(self, dims: Sequence[int], regularization: float) -> None:
        super().__init__()
        self.width = sum(dims)
        self.regularization = regularization
        self.feature_p = nn.Parameter(torch.randn(len(dims)))
        # A parameter, not a buffer: checkpoints hold it among the parameters.
        self.feature_dim_repeat = nn.Parameter(torch.tensor(list(dims), dtype=torch.int32), requires_grad=False)

    def forward(self, group: torch.Tensor) -> torch.Tensor:
        """[B, sum of dims] to the same."""
        rate = torch.sigmoid(self.feature_p).unsqueeze(0)
        dropped = self._toss(rate.expand(group.size(0), -1)) if self.training else rate
        scale = torch.repeat_interleave(1 - dropped, self.feature_dim_repeat, dim=1, output_size=self.width)
        return group * scale

    def penalty(self, rows: int) -> torch.Tensor:
        """What training adds to the loss of a batch of so many rows: a scalar."""
        return self.regularization / max(rows, 1) * torch.sum(1 - torch.sigmoid(self.feature_p))

    def _toss(self, rate: torch.Tensor) -> torch.Tensor:
        """A sample in (0, 1) per row and feature, mostly near 0 or 1, near 1 with the given rate."""
        tiny = torch.finfo(rate.dtype).eps
        noise = torch.rand_like(rate)
        odds = torch.log(rate + tiny) - torch.log(1 - rate + tiny)
        odds = odds + torch.log(noise + tiny) - torch.log(1 - noise + tiny)
        return torch.sigmoid(odds / self.temperature)
