"""Initialisers that a config can name, such as ``nn.init.uniform_,a=-0.1,b=0.1``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from recinfer.config.init_fn import parse_init_fn
from recinfer.errors import ConfigError


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
    try:
        name, keywords = parse_init_fn(text)
    except ValueError as error:
        what, hint = error.args
        raise ConfigError(f"{what}: feature {feature!r}", hint) from None
    return functools.partial(getattr(nn.init, name), **keywords)
