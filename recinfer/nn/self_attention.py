"""Self-attention over a sequence, pooled."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from recinfer.errors import ConfigError
from recinfer.nn import jagged
from recinfer.nn.cut_steps import cut_steps


class SelfAttention(nn.Module):
    """Multi-head attention of a sequence's steps to each other (Vaswani et al., NeurIPS 2017, arXiv:1706.03762), then
    their mean.

    Projections run without padding, and the last one on the sum over steps, since it is linear.
    The sum is divided by the row's length before it is cut to ``max_steps``, as trained models expect.

    Args:
        step_dim: width of a step.
        attention_dim: width of queries, keys, values and the output.
        heads: a divisor of ``attention_dim``.
        dropout: of attention weights.
        max_steps: steps of a row that count; 0 for all.
        where: the group, for messages.

    Raises:
        ConfigError: ``heads`` does not divide ``attention_dim``.
    """

    def __init__(
        self, step_dim: int, attention_dim: int, heads: int, dropout: float, max_steps: int, where: str
    ) -> None:
        super().__init__()
        if heads < 1 or attention_dim % heads:
            raise ConfigError(
                f"multihead_attn_dim {attention_dim} is not a multiple of num_heads {heads}: {where}",
                "make it a multiple",
            )
        self.heads = heads
        self.dropout = dropout
        self.max_steps = max_steps
        self.out_features = attention_dim
        self._query = nn.Linear(step_dim, attention_dim)
        self._key = nn.Linear(step_dim, attention_dim)
        self._value = nn.Linear(step_dim, attention_dim)
        self._multihead_attn = nn.MultiheadAttention(attention_dim, heads, batch_first=True)

    def forward(self, query: torch.Tensor | None, steps: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """steps [sum of lengths, step_dim], lengths [B] to [B, attention_dim]; zeros for a row without steps.

        No query is read.
        """
        steps, kept = cut_steps(steps, lengths, self.max_steps)
        inner = self._multihead_attn
        query_weight, key_weight, value_weight = torch.chunk(inner.in_proj_weight, 3)
        query_bias, key_bias, value_bias = torch.chunk(inner.in_proj_bias, 3)
        queries = self._split_heads(functional.linear(self._query(steps), query_weight, query_bias), kept)
        keys = self._split_heads(functional.linear(self._key(steps), key_weight, key_bias), kept)
        values = self._split_heads(functional.linear(self._value(steps), value_weight, value_bias), kept)
        mask = jagged.padding_mask(kept)
        dropout = self.dropout if self.training else 0.0
        attended = functional.scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask.unsqueeze(1).unsqueeze(2), dropout_p=dropout
        )
        per_step = attended.transpose(1, 2).flatten(2)
        summed = torch.sum(torch.where(mask.unsqueeze(2), per_step, 0.0), dim=1)
        out = inner.out_proj
        pooled = functional.linear(summed, out.weight) + out.bias * kept.unsqueeze(1)
        return pooled / torch.clamp(lengths, min=1).unsqueeze(1)

    def _split_heads(self, steps: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """[sum of lengths, attention_dim] to padded [B, heads, longest, attention_dim / heads]."""
        return jagged.to_padded(steps, lengths).unflatten(2, (self.heads, -1)).transpose(1, 2)
