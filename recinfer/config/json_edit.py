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


def parse_edits(text: str) -> dict[str, Any]:
    """Reads a JSON object; a key that stands twice is an error.

    Raises:
        ConfigError: the text is not one.
    """
    try:
        edits = json.loads(text, object_pairs_hook=_without_doubles)
    except json.JSONDecodeError as error:
        raise ConfigError(f"edit_config_json: not JSON: {error}", """write it as '{"data_config.batch_size": 4096}'""") from error
    if not isinstance(edits, dict):
        raise ConfigError("edit_config_json: not a JSON object", """write it as '{"data_config.batch_size": 4096}'""")
    return edits


def edit_message(message: Message, edits: dict[str, Any], where: str) -> None:
    """Applies edits, whose keys are paths inside ``message``, in place; ``where`` names the message in errors."""
    for path, value in edits.items():
        try:
            steps = parse_path(path)
            target = message
            for step in steps[:-1]:
                target = enter(target, step)
            _set(target, steps[-1], value, f"{where}: {path}")
        except ConfigError as error:
            known = error.message.startswith(where)
            raise error if known else ConfigError(f"{where}: {path}: {error.message}", error.hint) from error


def _set(message: Message, step: Step, value: Any, where: str) -> None:
    field = field_of(message, step.name)
    if step.key is None:
        _set_whole(message, field, value, where)
    elif is_map(field):
        getattr(message, step.name)[map_key(field, step)] = _map_value(field, value)
    elif not field.is_repeated:
        raise ConfigError(f"`{step.name}` is not a list, so it takes no [{step.key}]")
    elif field.cpp_type == MESSAGE:
        edit_message(enter(message, step), _object(field, value), where)
    else:
        values = getattr(message, step.name)
        index = list_index(step, len(values))
        values[index : index + 1] = [from_json(field, value)]


def _set_whole(message: Message, field: FieldDescriptor, value: Any, where: str) -> None:
    if value is None:
        message.ClearField(field.name)
    elif is_map(field):
        typed = {key: _map_value(field, item) for key, item in _object(field, value).items()}
        message.ClearField(field.name)
        getattr(message, field.name).update(typed)
    elif field.is_repeated:
        _replace_list(message, field, value, where)
    elif field.cpp_type == MESSAGE:
        child = enter(message, Step(field.name))
        if child.DESCRIPTOR.full_name.startswith("google.protobuf."):
            # A free-form value (Struct) has no fields to edit: protobuf's own JSON form replaces it.
            child.Clear()
            json_format.ParseDict(value, child)
        else:
            edit_message(child, _object(field, value), where)
    else:
        setattr(message, field.name, from_json(field, value))


def _replace_list(message: Message, field: FieldDescriptor, value: Any, where: str) -> None:
    if not isinstance(value, list):
        raise ConfigError(f"`{field.name}` is a list, and {json.dumps(value)} is not one", "write it as [ ... ]")
    if field.cpp_type != MESSAGE:
        getattr(message, field.name)[:] = [from_json(field, item) for item in value]
        return
    message.ClearField(field.name)
    for index, item in enumerate(value):
        edit_message(getattr(message, field.name).add(), _object(field, item), f"{where}[{index}]")


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
            raise ConfigError(f"edit_config_json: `{key}` stands twice", "keep one of them")
        found[key] = value
    return found
