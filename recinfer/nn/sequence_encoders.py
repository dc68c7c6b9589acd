"""Encoders that reduce the sequence group of a deep group to one vector per row."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from recinfer.errors import ConfigError
from recinfer.nn import jagged
from recinfer.nn.cut_steps import cut_steps
from recinfer.nn.din import DIN
from recinfer.nn.multi_window_din import MultiWindowDIN
from recinfer.nn.self_attention import SelfAttention


class DINEncoder(DIN):
    """:class:`~recinfer.nn.din.DIN` over the first steps of each row.

    Args:
        max_steps: steps of a row that count; 0 for all.
    """

    def __init__(self, query_dim: int, step_dim: int, attn_mlp: Any, max_steps: int = 0) -> None:
        super().__init__(query_dim, step_dim, attn_mlp)
        self.max_steps = max_steps
        self.out_features = step_dim

    def forward(self, query: torch.Tensor, steps: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """query [B, query_dim], steps [sum of lengths, step_dim], lengths [B] to [B, step_dim]."""
        return super().forward(query, *cut_steps(steps, lengths, self.max_steps))


class SimpleAttention(nn.Module):
    """Weighs each step by the softmax of its inner product with the query.

    Args:
        dim: width of the query and of a step.
        max_steps: steps of a row that count; 0 for all.
    """

    def __init__(self, dim: int, max_steps: int = 0) -> None:
        super().__init__()
        self.max_steps = max_steps
        self.out_features = dim

    def forward(self, query: torch.Tensor, steps: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """query [B, dim], steps [sum of lengths, dim], lengths [B] to [B, dim]; zeros for a row without steps."""
        steps, lengths = cut_steps(steps, lengths, self.max_steps)
        scores = torch.sum(jagged.repeat_rows(query, lengths) * steps, dim=1, keepdim=True)
        return jagged.weighted_sum(steps, jagged.softmax_over_steps(scores, lengths), lengths)


class PooledSteps(nn.Module):
    """The sum or the mean of each row's steps.

    Args:
        dim: width of a step.
        mean: the mean, else the sum.
        max_steps: steps of a row that count; 0 for all.
    """

    def __init__(self, dim: int, mean: bool, max_steps: int = 0) -> None:
        super().__init__()
        self.mean = mean
        self.max_steps = max_steps
        self.out_features = dim

    def forward(self, query: torch.Tensor | None, steps: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """steps [sum of lengths, dim], lengths [B] to [B, dim]; zeros for a row without steps. No query is read."""
        steps, lengths = cut_steps(steps, lengths, self.max_steps)
        return jagged.pool_steps(steps, lengths, self.mean)


def build_sequence_encoder(config: Any, query_dim: int, step_dim: int, where: str) -> nn.Module:
    """The encoder that a ``SeqEncoderConfig`` message describes; its ``out_features`` says how wide its output is.

    Args:
        config: the message.
        query_dim, step_dim: widths of the sequence group's query and steps, 0 where it has none.
        where: the group, for messages.

    Raises:
        ConfigError: the group does not fit the encoder.
    """
    kind = config.WhichOneof("seq_module")
    message = getattr(config, kind)
    if step_dim == 0:
        raise ConfigError(f"{where} has no sequence features", f"{kind} needs the features of a sequence")
    if kind == "pooling_encoder":
        if message.pooling_type not in ("sum", "mean"):
            raise ConfigError(f"pooling_type is {message.pooling_type!r}: {where}", "use sum or mean")
        return PooledSteps(step_dim, message.pooling_type == "mean", message.max_seq_length)
    if kind == "self_attention_encoder":
        return SelfAttention(
            step_dim, message.multihead_attn_dim, message.num_heads, message.dropout, message.max_seq_length, where
        )
    _check_query(kind, query_dim, step_dim, where)
    if kind == "simple_attention":
        return SimpleAttention(step_dim, message.max_seq_length)
    if kind == "din_encoder":
        return DINEncoder(query_dim, step_dim, message.attn_mlp, message.max_seq_length)
    return MultiWindowDIN(query_dim, step_dim, message.attn_mlp, list(message.windows_len), where)


def _check_query(kind: str, query_dim: int, step_dim: int, where: str) -> None:
    widths = f"{where} has a query of width {query_dim} and steps of width {step_dim}"
    if query_dim == 0:
        raise ConfigError(f"{widths}: {kind} needs a query", "add the plain features that the steps compare with")
    if kind == "simple_attention" and query_dim != step_dim:
        raise ConfigError(f"{widths}: simple_attention needs equal ones", "name the same features on both sides")
    if query_dim > step_dim:
        raise ConfigError(f"{widths}: {kind} needs steps at least as wide", "name fewer plain features")
