"""Which sequence groups a config's deep groups hold, and what encodes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from recinfer.errors import ConfigError


@dataclass(frozen=True)
class Nested:
    """One ``sequence_groups`` entry of a deep group.

    Attributes:
        name: of the sequence group.
        message: a ``SeqGroupConfig``.
        suffix: of its tables' names.
    """

    name: str
    message: Any
    suffix: str


@dataclass(frozen=True)
class Encoding:
    """One ``sequence_encoders`` entry of a deep group.

    Attributes:
        input: name of the sequence group that it reads.
        message: a ``SeqEncoderConfig``.
    """

    input: str
    message: Any


def nested_groups(group: Any, kind: str) -> tuple[list[Nested], list[Encoding]]:
    """The sequence groups inside a feature group, and its encoders, each with its input.

    A single sequence group may go without a name; it then has the feature group's, and encoders need not name it.

    Args:
        group: a ``FeatureGroupConfig``.
        kind: its type.

    Raises:
        ConfigError: they do not fit together.
    """
    where = f"feature group {group.group_name!r}"
    if (group.sequence_groups or group.sequence_encoders) and kind != "DEEP":
        raise ConfigError(f"{where} is {kind} and holds sequence groups", "make it DEEP")
    if bool(group.sequence_groups) != bool(group.sequence_encoders):
        has, lacks = (
            ("sequence_groups", "sequence_encoders")
            if group.sequence_groups
            else (
                "sequence_encoders",
                "sequence_groups",
            )
        )
        raise ConfigError(f"{where} has {has} and no {lacks}", f"add {lacks}; each sequence group needs an encoder")
    nested = list(_nested(group, where))
    names = [each.name for each in nested]
    encodings = list(_encodings(group, names, where))
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{where} has two sequence groups {name!r}", "give each a name of its own")
        if name not in {each.input for each in encodings}:
            raise ConfigError(f"sequence group {name!r} of {where} has no encoder", "add a sequence_encoders entry")
    return nested, encodings


def _nested(group: Any, where: str) -> Iterator[Nested]:
    for message in group.sequence_groups:
        if not message.group_name and len(group.sequence_groups) > 1:
            raise ConfigError(f"a sequence group of {where} has no group_name", "name each of several sequence groups")
        suffix = message.embedding_name_suffix or group.embedding_name_suffix
        yield Nested(message.group_name or group.group_name, message, suffix)


def _encodings(group: Any, names: Sequence[str], where: str) -> Iterator[Encoding]:
    for message in group.sequence_encoders:
        kind = message.WhichOneof("seq_module")
        if kind is None:
            raise ConfigError(f"{where} has an empty sequence_encoders entry", "add for example din_encoder { ... }")
        name = getattr(message, kind).input or (names[0] if len(names) == 1 else "")
        if name not in names:
            raise ConfigError(
                f"{kind} of {where} reads sequence group {name!r}, which it does not have",
                f"name one of {', '.join(names)}",
            )
        yield Encoding(name, message)
