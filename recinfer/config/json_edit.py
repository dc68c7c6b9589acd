"""Applies edits written as JSON to a config message."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from recinfer.config.field_path import Step, parse_path
from recinfer.config.field_types import MESSAGE, is_map
from recinfer.config.navigate import enter, field_of, list_index, map_key
from recinfer.config.scalar_value import from_json, wrong_value
from recinfer.errors import ConfigError

_FORM = """write it as '{"data_config.batch_size": 4096}'"""


def parse_edits(text: str) -> dict[str, Any]:
    """Reads a JSON object; a key that stands twice is an error.

    Raises:
        ConfigError: the text is not one.
    """
    try:
        edits = json.loads(text, object_pairs_hook=_without_doubles)
    except json.JSONDecodeError as error:
        raise ConfigError(f"not JSON: {error}", _FORM) from error
    if not isinstance(edits, dict):
        raise ConfigError("not a JSON object", _FORM)
    return edits


def edit_message(message: Message, edits: dict[str, Any]) -> None:
    """Applies edits, whose keys are paths inside ``message``, in place.

    Raises:
        ConfigError: a path or a value does not fit; the message starts with the path.
    """
    for path, value in edits.items():
        try:
            steps = parse_path(path)
            target = message
            for step in steps[:-1]:
                target = enter(target, step)
            _set(target, steps[-1], value)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error.message}", error.hint) from error


def _set(message: Message, step: Step, value: Any) -> None:
    field = field_of(message, step.name)
    if step.key is None:
        _set_whole(message, field, value)
    elif is_map(field):
        getattr(message, step.name)[map_key(field, step)] = _map_value(field, value)
    elif not field.is_repeated:
        raise ConfigError(f"`{step.name}` is not a list, so it takes no [{step.key}]")
    elif field.cpp_type == MESSAGE:
        edit_message(enter(message, step), _object(field, value))
    else:
        values = getattr(message, step.name)
        index = list_index(step, len(values))
        values[index : index + 1] = [from_json(field, value)]


def _set_whole(message: Message, field: FieldDescriptor, value: Any) -> None:
    if value is None:
        message.ClearField(field.name)
    elif is_map(field):
        typed = {key: _map_value(field, item) for key, item in _object(field, value).items()}
        message.ClearField(field.name)
        getattr(message, field.name).update(typed)
    elif field.is_repeated:
        _replace_list(message, field, value)
    elif field.cpp_type == MESSAGE:
        _edit_block(enter(message, Step(field.name)), _object(field, value))
    else:
        setattr(message, field.name, from_json(field, value))


def _edit_block(block: Message, value: dict[str, Any]) -> None:
    if not block.DESCRIPTOR.full_name.startswith("google.protobuf."):
        edit_message(block, value)
        return
    # A free-form block (Struct) has no fields of its own to edit: the JSON object replaces it.
    try:
        block.Clear()
        json_format.ParseDict(value, block)
    except json_format.ParseError as error:
        raise ConfigError(str(error)) from error


def _replace_list(message: Message, field: FieldDescriptor, value: Any) -> None:
    if not isinstance(value, list):
        raise ConfigError(f"`{field.name}` is a list, and {json.dumps(value)} is not one", "write it as [ ... ]")
    if field.cpp_type != MESSAGE:
        getattr(message, field.name)[:] = [from_json(field, item) for item in value]
        return
    message.ClearField(field.name)
    for index, item in enumerate(value):
        try:
            edit_message(getattr(message, field.name).add(), _object(field, item))
        except ConfigError as error:
            raise ConfigError(f"[{index}]: {error.message}", error.hint) from error


def _map_value(field: FieldDescriptor, value: Any) -> Any:
    return from_json(field.message_type.fields_by_name["value"], value)


def _object(field: FieldDescriptor, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong_value(field, json.dumps(value), "write it as a JSON object")
    return value


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ConfigError(f"`{key}` stands twice", "keep one of them")
        found[key] = value
    return found
