"""Target attention that pools a sequence window by window."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from recinfer.errors import ConfigError
from recinfer.nn import jagged
from recinfer.nn.cut_steps import cut_steps
from recinfer.nn.mlp import MLP


class MultiWindowDIN(nn.Module):
    """The activation unit of DIN (Zhou et al., KDD 2018, arXiv:1706.06978), summed over windows of a sequence as
    TDM does (Zhu et al., KDD 2018, arXiv:1801.02294).

    Each step is weighed by an MLP over ``[step, query * step, query]``, without a softmax. A window's weighted steps
    are summed and divided by how many of them the row has.

    Args:
        query_dim: width of the query; a narrower one than ``step_dim`` is widened with zeros.
        step_dim: width of a step.
        attn_mlp: the ``MLP`` message of the attention.
        windows: steps of each window, from a sequence's first step on; later steps do not count.
        where: the group, for messages.

    Raises:
        ConfigError: there are no windows, or empty ones.
    """

    windows_len: torch.Tensor
    cumsum_windows_len: torch.Tensor

    def __init__(self, query_dim: int, step_dim: int, attn_mlp: Any, windows: Sequence[int], where: str) -> None:
        super().__init__()
        if not windows or min(windows) < 1:
            raise ConfigError(
                f"windows_len is {list(windows)}: {where}", "give the steps of each window, such as [1, 4]"
            )
        self.query_dim = query_dim
        self.step_dim = step_dim
        self.windows = len(windows)
        self.max_steps = sum(windows)
        self.out_features = step_dim * (self.windows + 1)
        starts = [0, *accumulate(windows)][:-1]
        self.register_buffer("windows_len", torch.tensor(list(windows)))
        self.register_buffer("cumsum_windows_len", torch.tensor(starts))
        self.mlp = MLP.from_config(step_dim * 3, attn_mlp, over_steps=True)
        self.linear = nn.Linear(self.mlp.out_features, 1)
        self.active = nn.PReLU()

    def forward(self, query: torch.Tensor, steps: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """query [B, query_dim], steps [sum of lengths, step_dim], lengths [B] to [B, (windows + 1) * step_dim]: the
        windows' vectors one after the other, then the query."""
        if self.query_dim < self.step_dim:
            query = functional.pad(query, (0, self.step_dim - self.query_dim))
        steps, lengths = cut_steps(steps, lengths, self.max_steps)
        queries = jagged.repeat_rows(query, lengths)
        hidden = self.mlp(torch.cat([steps, queries * steps, queries], dim=1))
        weights = self.active(self.linear(hidden)).squeeze(1)
        held = torch.clamp(lengths.unsqueeze(1) - self.cumsum_windows_len.unsqueeze(0), min=0)
        held = torch.minimum(held, self.windows_len.unsqueeze(0))
        sums = jagged.weighted_sum(steps, weights, held.flatten()).reshape(-1, self.windows, self.step_dim)
        means = sums / torch.clamp(held, min=1).unsqueeze(2)
        return torch.cat([means.flatten(1), query], dim=1)
