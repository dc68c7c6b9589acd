"""Walks from a config message to the field that a path names, creating messages on the way."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from recinfer.config.field_path import Step
from recinfer.config.field_types import MESSAGE, field_names, is_map
from recinfer.config.nearest import name_hint
from recinfer.config.scalar_value import from_text
from recinfer.errors import ConfigError


def field_of(message: Message, name: str) -> FieldDescriptor:
    """The field of a message by name.

    Raises:
        ConfigError: there is none; names the nearest.
    """
    field = message.DESCRIPTOR.fields_by_name.get(name)
    if field is None:
        kind = message.DESCRIPTOR.name
        raise ConfigError(
            f"{kind} has no field `{name}`", name_hint(name, field_names(message.DESCRIPTOR), f"fields of {kind}")
        )
    return field


def enter(message: Message, step: Step) -> Message:
    """The message that a step leads to. Entering a member of a oneof drops the other members."""
    field = field_of(message, step.name)
    if field.cpp_type != MESSAGE:
        raise ConfigError(f"`{step.name}` is a value and has no fields inside")
    child = getattr(message, step.name)
    if is_map(field):
        if field.message_type.fields_by_name["value"].cpp_type != MESSAGE:
            raise ConfigError(f"the values of `{step.name}` have no fields inside")
        return child[map_key(field, step)]
    if not field.is_repeated:
        if step.key is not None:
            raise ConfigError(f"`{step.name}` is not a list, so it takes no [{step.key}]")
        child.SetInParent()
        return child
    if step.key is None:
        raise ConfigError(f"`{step.name}` is a list", f"say which element, for example {step.name}[0]")
    index = list_index(step, len(child))
    return child.add() if index == len(child) else child[index]


def list_index(step: Step, length: int) -> int:
    """The index in brackets; counts from the end when negative; the length itself means a new element."""
    try:
        index = int(step.key or "")
    except ValueError as error:
        raise ConfigError(f"`{step.name}` is a list: [{step.key}] is not a number") from error
    if not -length <= index <= length:
        elements = f"{length} element{'' if length == 1 else 's'}"
        raise ConfigError(f"`{step.name}` has {elements}, so there is no [{index}]", f"[{length}] adds one")
    return index if index >= 0 else index + length


def map_key(field: FieldDescriptor, step: Step) -> Any:
    """The key in brackets, typed as the map wants it."""
    if step.key is None:
        raise ConfigError(f"`{step.name}` is a map", f"say which key, for example {step.name}[key]")
    return from_text(field.message_type.fields_by_name["key"], step.key)
