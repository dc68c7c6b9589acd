"""``fg_encoded_default_value``: what a row without a value gets, written as a column writes values."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from recinfer.config.problems import Problem
from recinfer.config.table_size import is_sparse
from recinfer.config.view import ConfigView, FeatureEntry
from recinfer.config.widths import value_width


def defaults_are_readable(view: ConfigView) -> Iterator[Problem]:
    """A default is of the feature's kind: ids, ids with weights, one number or as many as the feature has."""
    separator = view.config.data_config.fg_encoded_multival_sep
    for entry in view.features:
        default = entry.get("fg_encoded_default_value", "")
        if not default or entry.get("stub_type", False):
            continue
        pieces = [piece for piece in default.split(separator) if piece] if separator else [default]
        wanted = _misread(entry, pieces)
        if wanted is not None:
            what = f"`fg_encoded_default_value: {default!r}` is not {wanted}"
            yield Problem(entry.where, what, "write it as the column writes a value")


def _misread(entry: FeatureEntry, pieces: list[str]) -> str | None:
    """What the pieces should be, or None where they are."""
    if not is_sparse(entry):
        width = value_width(entry)
        if not all(_reads(float, piece) for piece in pieces):
            return "a number, or several separated"
        return None if len(pieces) in (1, width) else f"one number or {width}"
    if entry.get("weighted", False) and not entry.is_sequence:
        pairs = [piece.partition(":") for piece in pieces]
        # Without a weight it is 1.
        fine = all(_reads(int, key) and (not colon or _reads(float, weight)) for key, colon, weight in pairs)
        return None if fine else "id:weight, or several separated"
    return None if all(_reads(int, piece) for piece in pieces) else "a whole number, or several separated"


def _reads(kind: Callable[[str], object], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True
