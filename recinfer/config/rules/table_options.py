"""Options of embedding tables: how they are filled, and in which type they are kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from recinfer.config.init_fn import parse_init_fn
from recinfer.config.nearest import name_hint
from recinfer.config.problems import Problem
from recinfer.config.table_size import is_sparse
from recinfer.config.view import ConfigView

DATA_TYPES = ("FP32", "FP16")


def init_fns_are_known(view: ConfigView) -> Iterator[Problem]:
    """Tables are filled by functions of ``torch.nn.init``, with arguments that these have."""
    named: list[tuple[str, Any]] = [
        (entry.where, entry.get("init_fn", "")) for entry in view.features if is_sparse(entry)
    ]
    named.append((f"model_config.{view.model_kind}.wide_init_fn", getattr(view.model, "wide_init_fn", "")))
    for where, text in named:
        try:
            if text:
                parse_init_fn(text)
        except ValueError as error:
            what, hint = error.args
            yield Problem(where, what, hint)


def data_types_are_known(view: ConfigView) -> Iterator[Problem]:
    """Tables are kept in single or half precision."""
    for entry in view.features:
        given = entry.get("data_type", "FP32")
        if is_sparse(entry) and given not in DATA_TYPES:
            what = f"data_type `{given}` is not supported"
            yield Problem(entry.where, what, name_hint(given, DATA_TYPES, "data types"))
