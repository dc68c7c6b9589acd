"""Instance-guided masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from recinfer.errors import ConfigError
from recinfer.nn.mlp import MLP


class MaskBlock(nn.Module):
    """A layer whose input is scaled by a mask made from the embeddings.

    Args:
        in_features: width of the input.
        mask_features: width of the embeddings.
        aggregation: width of the mask's hidden layer.
        hidden: width of the output.
    """

    def __init__(self, in_features: int, mask_features: int, aggregation: int, hidden: int) -> None:
        super().__init__()
        self.mask_generator = nn.Sequential(
            nn.Linear(mask_features, aggregation), nn.ReLU(), nn.Linear(aggregation, in_features)
        )
        self.ffn = nn.Sequential(nn.Linear(in_features, hidden), nn.LayerNorm(hidden), nn.ReLU())

    def forward(self, x: torch.Tensor, embeddings: torch.Tensor) -> torch.Tensor:
        """[B, in_features] and [B, mask_features] to [B, hidden]."""
        return self.ffn(x * self.mask_generator(embeddings))


class MaskNetModule(nn.Module):
    """Mask blocks side by side or in a chain (Wang et al., DLP-KDD 2021, arXiv:2102.07619), and an MLP on top.

    Args:
        in_features: width of the embeddings.
        config: the ``MaskNetModule`` message.

    Raises:
        ConfigError: there is no block, or one of width 0.
    """

    def __init__(self, in_features: int, config: Any) -> None:
        super().__init__()
        if config.n_mask_blocks < 1 or config.mask_block.hidden_dim < 1:
            raise ConfigError(
                "a mask net has no block of a width", "set n_mask_blocks and mask_block.hidden_dim above 0"
            )
        self.parallel = bool(config.use_parallel)
        self.ln_emb = nn.LayerNorm(in_features)
        hidden = config.mask_block.hidden_dim
        widths = [in_features] * config.n_mask_blocks
        if not self.parallel:
            widths[1:] = [hidden] * (config.n_mask_blocks - 1)
        self.mask_blocks = nn.ModuleList(
            MaskBlock(width, in_features, aggregation_width(config.mask_block, width), hidden) for width in widths
        )
        self.out_features = hidden * (config.n_mask_blocks if self.parallel else 1)
        self.has_top = config.HasField("top_mlp")
        if self.has_top:
            self.top_mlp = MLP.from_config(self.out_features, config.top_mlp)
            self.out_features = self.top_mlp.out_features

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """[B, in_features] to [B, out_features]."""
        normed = self.ln_emb(embeddings)
        if self.parallel:
            hidden = torch.cat([block(normed, embeddings) for block in self.mask_blocks], dim=1)
        else:
            hidden = normed
            for block in self.mask_blocks:
                hidden = block(hidden, embeddings)
        return self.top_mlp(hidden) if self.has_top else hidden


def aggregation_width(config: Any, in_features: int) -> int:
    """Width of a mask's hidden layer: ``reduction_ratio`` of the input, which wins over ``aggregation_dim`` unless 0.

    Raises:
        ConfigError: it comes to 0.
    """
    # The config's float32, read as it was written: 10 * 0.7 is 7, not 6.9999999.
    ratio = float(str(np.float32(config.reduction_ratio)))
    width = int(in_features * ratio) if ratio else int(config.aggregation_dim)
    if width < 1:
        raise ConfigError(
            f"a mask block of input width {in_features} has an aggregation layer of width {width}",
            "raise reduction_ratio, or set it to 0 and give aggregation_dim",
        )
    return width
