"""Filters of new ids as functions, from what a config names."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torchrec.modules import mc_modules

from recinfer.config.admission import COUNT, FILTERS, Admission, parse_admission
from recinfer.errors import ConfigError

Filter = Callable[[torch.Tensor], tuple[torch.Tensor, float | torch.Tensor]]


def build_admission(text: str, feature: str) -> Filter | None:
    """The filter that a text names, or None for "": counts int64 [ids] to (which come in, bool [ids], and a threshold).

    Raises:
        ConfigError: the text is not understood.
    """
    if not text:
        return None
    try:
        found = parse_admission(text)
    except ValueError as error:
        what, hint = error.args
        raise ConfigError(f"{what}: feature {feature!r}", hint) from None
    if found.kind == COUNT:
        return functools.partial(_seen_often, admission=found)
    arguments = {} if found.value is None else {FILTERS[found.kind]: found.value}
    return functools.partial(getattr(mc_modules, found.kind), **arguments)


def _seen_often(counts: torch.Tensor, admission: Admission) -> tuple[torch.Tensor, float]:
    threshold = admission.value or 0.0
    return (counts >= threshold if admission.inclusive else counts > threshold), threshold
