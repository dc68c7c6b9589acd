"""Target attention of Deep Interest Network."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from recinfer.nn import jagged
from recinfer.nn.mlp import MLP


class DIN(nn.Module):
    """Weighs each step of a sequence by its match with a query (Zhou et al., KDD 2018, arXiv:1706.06978).

    The attention is an MLP over ``[query, step, query - step, query * step]``. Steps are taken without padding, and the
    first layer is split: the query's part is multiplied once per row, and ``step`` and
    ``query - step`` share a product.

    Args:
        query_dim: width of the query; a narrower one than ``step_dim`` is widened with zeros.
        step_dim: width of a step.
        attn_mlp: the ``MLP`` message of the attention.
    """

    def __init__(self, query_dim: int, step_dim: int, attn_mlp: Any) -> None:
        super().__init__()
        self.query_dim = query_dim
        self.step_dim = step_dim
        self.mlp = MLP.from_config(step_dim * 4, attn_mlp, over_steps=True)
        self.linear = nn.Linear(self.mlp.out_features, 1)

    def forward(self, query: torch.Tensor, steps: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Pools a jagged sequence.

        Args:
            query: [B, query_dim].
            steps: [sum of lengths, step_dim].
            lengths: steps per row, [B].

        Returns:
            [B, step_dim]; zeros for a row without steps.
        """
        if self.query_dim < self.step_dim:
            query = functional.pad(query, (0, self.step_dim - self.query_dim))
        hidden = self._first_linear(query, steps, lengths)
        first, *others = self.mlp.layers
        for layer in list(first)[1:]:
            hidden = layer(hidden)
        for perceptron in others:
            hidden = perceptron(hidden)
        weights = jagged.softmax_over_steps(self.linear(hidden), lengths)
        return jagged.weighted_sum(steps, weights, lengths)

    def _first_linear(self, query: torch.Tensor, steps: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """The first linear layer over the four parts, without building them: [sum, hidden]."""
        linear = self.mlp.layers[0][0]
        assert isinstance(linear, nn.Linear)
        of_query, of_step, of_difference, of_product = torch.split(linear.weight, self.step_dim, dim=1)
        per_row = functional.linear(query, of_query + of_difference, linear.bias)
        products = torch.cat([steps, jagged.repeat_rows(query, lengths) * steps], dim=1)
        weight = torch.cat([of_step - of_difference, of_product], dim=1)
        # The product is added in place: a second buffer of this size costs more than a tenth of the attention.
        hidden = jagged.repeat_rows(per_row, lengths)
        return hidden.addmm_(products.to(hidden.dtype), weight.t().to(hidden.dtype))
