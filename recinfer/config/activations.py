"""Activations that a config can name."""

from __future__ import annotations

DICE = "Dice"
# Classes of torch.nn.
ACTIVATIONS = (
    "CELU", "ELU", "GELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "LogSigmoid", "Mish",
    "PReLU", "ReLU", "ReLU6", "RReLU", "SELU", "SiLU", "Sigmoid", "Softplus", "Softshrink", "Softsign", "Tanh",
    "Tanhshrink", "Identity",
)  # fmt: skip


def activation_name(text: str) -> str:
    """The bare class that a config's text names: ``nn.ReLU``, ``torch.nn.ReLU`` and ``ReLU()`` are one; "" for none."""
    return text.removeprefix("torch.").removeprefix("nn.").removesuffix("()")


def is_known(text: str) -> bool:
    """Whether a config's text names an activation, or none at all."""
    return activation_name(text) in ("", DICE, *ACTIVATIONS)


def activation_hint() -> str:
    """What may be named."""
    return f"use one of {', '.join([DICE, *(f'nn.{known}' for known in ACTIVATIONS)])}"
