"""Changes to a config from the command line: ``-o path=value`` and ``--edit_config_json``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from google.protobuf import text_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from recinfer.config.field_path import Step, join, split_assignment
from recinfer.config.field_types import MESSAGE, is_map
from recinfer.config.json_edit import edit_message, parse_edits
from recinfer.config.navigate import enter, field_of, list_index, map_key
from recinfer.config.parse_error import explain
from recinfer.config.scalar_value import from_text, wrong_value
from recinfer.errors import ConfigError
from recinfer.protos.pipeline_pb2 import EasyRecConfig

_ELEMENT = re.compile(r"""\s*("(?:\\.|[^"\\])*"|[^",]*)\s*(,|$)""")


def apply_overrides(config: EasyRecConfig, overrides: Iterable[str]) -> EasyRecConfig:
    """A copy of ``config`` with ``path=value`` overrides applied in order.

    Raises:
        ConfigError: a path or a value does not fit; names the override and the nearest field.
    """
    changed = EasyRecConfig()
    changed.CopyFrom(config)
    for override in overrides:
        try:
            _assign(changed, *split_assignment(override))
        except ConfigError as error:
            raise ConfigError(f"override `{override}`: {error.message}", error.hint) from error
    return changed


def apply_json_edits(config: EasyRecConfig, edits: str) -> EasyRecConfig:
    """A copy of ``config`` with the edits of a JSON object applied, whose keys are paths.

    A list replaces a list, an object changes the fields that it names, null clears a field.

    Raises:
        ConfigError: the text is not a JSON object, or a path or a value does not fit.
    """
    changed = EasyRecConfig()
    changed.CopyFrom(config)
    try:
        edit_message(changed, parse_edits(edits))
    except ConfigError as error:
        raise ConfigError(f"edit_config_json: {error.message}", error.hint) from error
    return changed


def _assign(message: Message, steps: list[Step], text: str) -> None:
    done: list[Step] = []
    try:
        for step in steps[:-1]:
            message = enter(message, step)
            done.append(step)
        _assign_last(message, steps[-1], text)
    except ConfigError as error:
        where = f"in {join(done)}: " if done else ""
        raise ConfigError(f"{where}{error.message}", error.hint) from error


def _assign_last(message: Message, step: Step, text: str) -> None:
    field = field_of(message, step.name)
    if is_map(field) and step.key is not None:
        value_field = field.message_type.fields_by_name["value"]
        if value_field.cpp_type != MESSAGE:
            getattr(message, step.name)[map_key(field, step)] = from_text(value_field, text)
            return
    if field.cpp_type == MESSAGE:
        _assign_block(message, field, step, text)
    elif field.is_repeated:
        _assign_list(message, field, step, text)
    elif step.key is not None:
        raise ConfigError(f"`{step.name}` is not a list, so it takes no [{step.key}]")
    else:
        setattr(message, step.name, from_text(field, text))


def _assign_list(message: Message, field: FieldDescriptor, step: Step, text: str) -> None:
    values = getattr(message, step.name)
    if step.key is None:
        values[:] = [from_text(field, element) for element in _elements(field, text)]
        return
    index, value = list_index(step, len(values)), from_text(field, text)
    if index == len(values):
        values.append(value)
    else:
        values[index] = value


def _elements(field: FieldDescriptor, text: str) -> list[str]:
    """The elements of ``[a,"b,c"]``, as written."""
    inner = text.strip()
    if not (inner.startswith("[") and inner.endswith("]")):
        hint = f"{field.name}=[a,b] replaces the list, {field.name}[0]=a one element"
        raise ConfigError(f"`{field.name}` is a list, and {text or 'an empty text'} is not one", hint)
    inner = inner[1:-1].strip()
    elements: list[str] = []
    at = 0
    while inner:
        match = _ELEMENT.match(inner, at)
        if match is None:
            raise ConfigError(f"`{field.name}`: the list {text} cannot be read", 'put texts with commas in ""')
        elements.append(match[1].strip())
        at = match.end()
        if not match[2]:
            break
    return elements


def _assign_block(message: Message, field: FieldDescriptor, step: Step, text: str) -> None:
    """Replaces a message, a list or a map by what a block in text format says."""
    if step.key is not None or not field.is_repeated:
        block = text.strip()
        if not (block.startswith("{") and block.endswith("}")):
            first = field.message_type.fields[0].name if field.message_type.fields else None
            hint = f"set one of its fields, for example {step}.{first}=..." if first else f"write {step}={{}}"
            raise wrong_value(field, text, hint)
        target, source = enter(message, step), block[1:-1]
        parsed = type(target)()
    else:
        target, source = message, f"{field.name}: {text}"
        parsed = type(message)()
    try:
        text_format.Parse(source, parsed)
    except text_format.ParseError as error:
        raise explain(error, source, f"`{step}`", parsed.DESCRIPTOR) from error
    if target is message:
        message.ClearField(field.name)
        message.MergeFrom(parsed)
    else:
        target.CopyFrom(parsed)
        if not field.is_repeated:
            target.SetInParent()
