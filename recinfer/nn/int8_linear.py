"""A linear layer whose products are INT8: weights per output, inputs per row."""

import torch
from torch import nn


class Int8Linear(nn.Module):
    """Each row of the input is scaled by its own largest value, so that no row's result depends on another's.

    Products and sums are exact, in INT8 and INT32.

    Args:
        linear: the exact layer, on the processor.
    """

    weight: torch.Tensor
    scale: torch.Tensor
    bias: torch.Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.largest = 127.0
        # Of a scale: a row or an output of zeros has none of its own.
        self.least = 1e-12
        exact = linear.weight.detach().to(torch.float32)
        scale = (exact.abs().amax(1) / self.largest).clamp(min=self.least)
        self.register_buffer("weight", (exact / scale.unsqueeze(1)).round().to(torch.int8).t().contiguous())
        self.register_buffer("scale", scale)
        bias = torch.zeros_like(scale) if linear.bias is None else linear.bias.detach().clone()
        self.register_buffer("bias", bias)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """Float32 [..., in] to float32 [..., out]."""
        rows = given.flatten(0, -2)
        scale = rows.abs().amax(1, keepdim=True).div_(self.largest).clamp_(min=self.least)
        products = torch._int_mm((rows / scale).round_().to(torch.int8), self.weight).to(torch.float32)
        return products.mul_(scale).mul_(self.scale).add_(self.bias).unflatten(0, given.shape[:-1])
