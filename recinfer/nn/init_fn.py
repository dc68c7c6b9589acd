"""Initialisers that a config can name, such as ``nn.init.uniform_,a=-0.1,b=0.1``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from recinfer.errors import ConfigError

INITIALISERS = (
    "uniform_", "normal_", "trunc_normal_", "constant_", "ones_", "zeros_", "xavier_uniform_", "xavier_normal_",
    "kaiming_uniform_", "kaiming_normal_", "orthogonal_",
)  # fmt: skip


def build_init_fn(text: str, feature: str) -> Callable[[torch.Tensor], Any] | None:
    """The in-place initialiser that a text names, or None for "".

    Args:
        text: a name of ``torch.nn.init`` and its arguments, separated by commas.
        feature: for messages.

    Raises:
        ConfigError: the name or an argument is unknown.
    """
    if not text:
        return None
    name, *arguments = [piece.strip() for piece in text.split(",")]
    bare = name.removeprefix("torch.").removeprefix("nn.").removeprefix("init.")
    if bare not in INITIALISERS:
        known = ", ".join(f"nn.init.{known}" for known in INITIALISERS)
        raise ConfigError(f"init_fn {text!r} is unknown: feature {feature!r}", f"use one of {known}")
    keywords: dict[str, float] = {}
    for argument in arguments:
        key, _, value = argument.partition("=")
        try:
            keywords[key.strip()] = float(value)
        except ValueError:
            raise ConfigError(
                f"init_fn {text!r}: {argument!r} is not name=number: feature {feature!r}",
                "write for example nn.init.uniform_,a=-0.05,b=0.05",
            ) from None
    fill = functools.partial(getattr(nn.init, bare), **keywords)
    try:
        fill(torch.empty(2, 2))
    except TypeError as error:
        raise ConfigError(
            f"init_fn {text!r}: {error}: feature {feature!r}", "see torch.nn.init for its arguments"
        ) from None
    return fill
