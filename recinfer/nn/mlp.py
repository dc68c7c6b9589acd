"""Multi-layer perceptron with the options of the config's ``MLP`` message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from recinfer.errors import ConfigError
from recinfer.nn.activation import build_activation


class Perceptron(nn.Module):
    """One layer: linear, then batch or layer norm, activation, dropout, each where asked for.

    A linear layer before batch norm has no bias, since the norm would take it away.

    Args:
        over_steps: the input is the steps of sequences. It changes nothing but numbers in the names of parameters: on
            padded sequences, where these names come from, two transpositions stand around a batch norm.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        activation: str,
        use_bn: bool,
        use_ln: bool,
        bias: bool,
        dropout: float,
        over_steps: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(in_features, out_features, bias=bias and not use_bn)]
        if use_bn:
            norm = nn.BatchNorm1d(out_features)
            layers.extend([nn.Identity(), norm, nn.Identity()] if over_steps else [norm])
        if use_ln:
            layers.append(nn.LayerNorm(out_features))
        chosen = build_activation(activation, out_features)
        if chosen is not None:
            layers.append(chosen)
        if dropout > 0:
            layers.append(nn.Dropout(dropout))
        self.perceptron = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, in_features] to [B, out_features]."""
        return self.perceptron(x)


class MLP(nn.Module):
    """A stack of :class:`Perceptron` layers.

    Args:
        in_features: width of the input.
        hidden_units: width of each layer.
        dropout_ratio: one value for all layers, or one per layer.
        over_steps: see :class:`Perceptron`.
    """

    def __init__(
        self,
        in_features: int,
        hidden_units: Sequence[int],
        *,
        activation: str = "nn.ReLU",
        use_bn: bool = False,
        use_ln: bool = False,
        bias: bool = True,
        dropout_ratio: Sequence[float] = (),
        over_steps: bool = False,
    ) -> None:
        super().__init__()
        if not hidden_units:
            raise ConfigError("an MLP has no hidden_units", "give at least one layer")
        if len(dropout_ratio) not in (0, 1, len(hidden_units)):
            raise ConfigError(
                f"an MLP of {len(hidden_units)} layers has {len(dropout_ratio)} dropout_ratio values",
                "give one value, or one per layer",
            )
        ratios = list(dropout_ratio) or [0.0]
        ratios = ratios * len(hidden_units) if len(ratios) == 1 else ratios
        widths = [in_features, *hidden_units]
        self.mlp = nn.ModuleList(
            Perceptron(
                before,
                after,
                activation=activation,
                use_bn=use_bn,
                use_ln=use_ln,
                bias=bias,
                dropout=ratio,
                over_steps=over_steps,
            )
            for before, after, ratio in zip(widths[:-1], widths[1:], ratios, strict=True)
        )
        self.out_features = int(hidden_units[-1])

    @property
    def layers(self) -> list[nn.Sequential]:
        """What each layer consists of: its linear part first."""
        return [layer.perceptron for layer in self.mlp if isinstance(layer, Perceptron)]

    @classmethod
    def from_config(cls, in_features: int, config: Any, *, over_steps: bool = False) -> MLP:
        """Builds the stack that an ``MLP`` message describes."""
        return cls(
            in_features,
            list(config.hidden_units),
            activation=config.activation,
            use_bn=config.use_bn,
            use_ln=config.use_ln,
            bias=config.bias,
            dropout_ratio=list(config.dropout_ratio),
            over_steps=over_steps,
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, in_features] to [B, hidden_units[-1]]."""
        for layer in self.mlp:
            x = layer(x)
        return x
