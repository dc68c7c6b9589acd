"""Which side a feature describes: the user who asks, or the items among which to choose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from recinfer.features.base import Feature

USER = "user"
# Fields of a feature's message that name its inputs as ``side:name``.
INPUT_FIELDS = ("expression", "query", "title", "document", "map", "key", "nested_map", "pkey", "skey", "variables")


def is_user_side(feature: Feature) -> bool:
    """Whether a feature is the same for all rows of one user.

    It is where all of its inputs are of the ``user:`` side. A member of a ``sequence_feature`` always is, as in
    TorchEasyRec, unless ``sequence_pk`` names another side: what its expression names are the items in the user's
    history. A feature that names no inputs is on no side.
    """
    if feature.sequence is not None and feature.sequence.name:
        return not feature.sequence.key or _side(feature.sequence.key) == USER
    sides = [_side(text) for text in _inputs(feature)]
    return bool(sides) and all(side == USER for side in sides)


def user_side_names(features: Sequence[Feature]) -> frozenset[str]:
    """Names of the user-side ones among features."""
    return frozenset(feature.name for feature in features if is_user_side(feature))


def _inputs(feature: Feature) -> Iterator[str]:
    known = feature.config.DESCRIPTOR.fields_by_name
    # The expression of a feature with variables is a formula over them.
    fields = [name for name in INPUT_FIELDS if name in known and not (name == "expression" and "variables" in known)]
    for name in fields:
        value = getattr(feature.config, name)
        yield from [value] if isinstance(value, str) else value


def _side(text: str) -> str:
    side, colon, _ = text.partition(":")
    return side if colon else ""
