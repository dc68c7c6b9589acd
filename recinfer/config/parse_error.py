"""Turns an error of protobuf's text parser into one that says where, what, and what was probably meant."""

from __future__ import annotations

import re

from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from recinfer.config.field_types import ENUM, MESSAGE, STRING, describe, enum_names, field_names
from recinfer.config.nearest import name_hint, nearest_name
from recinfer.config.text_position import TextPosition, locate
from recinfer.errors import ConfigError

_PREFIX = re.compile(r"^\d+:\d+ : ('.*': )?", re.DOTALL)
_NO_FIELD = re.compile(r'has no field named "(.*?)"')
_REPEATED = re.compile(r'should not have multiple "(.*?)" fields')
_TWO_OF_ONEOF = re.compile(r'Field "(.*?)" is specified along with field "(.*?)"')
# How protobuf's messages start when a value has the wrong type.
_WRONG_VALUE = (
    "Couldn't parse",
    "Value out of range",
    "Enum type",
    "Expected string",
    'Expected "true"',
    'Expected "{"',
)


def explain(error: text_format.ParseError, text: str, source: str, root: Descriptor) -> ConfigError:
    """The error as users see it.

    Args:
        error: what the text parser raised.
        text: the text that it read.
        source: the name of the file.
        root: the message that the text should hold.
    """
    line, column = error.GetLine(), error.GetColumn()
    if line is None or column is None:
        return ConfigError(f"{source}: {error}")
    position = locate(text, line, column)
    what, hint = _explain(_PREFIX.sub("", str(error)), position, _message_at(root, position.blocks))
    return ConfigError(f"{source}:{line}:{column}: {what}", hint)


def _message_at(root: Descriptor, blocks: tuple[str, ...]) -> Descriptor | None:
    message = root
    for block in blocks:
        field = message.fields_by_name.get(block)
        if field is None or field.cpp_type != MESSAGE:
            return None
        message = field.message_type
    return message


def _explain(raw: str, position: TextPosition, message: Descriptor | None) -> tuple[str, str | None]:
    where = f" in {'.'.join(position.blocks)}" if position.blocks else ""
    unknown = _NO_FIELD.search(raw)
    if unknown and message is not None:
        return f"{message.name} has no field `{unknown[1]}`{where}", _field_hint(unknown[1], message)
    repeated = _REPEATED.search(raw)
    if repeated:
        return f"`{repeated[1]}` is set twice{where}", "it takes one value; remove the other"
    two = _TWO_OF_ONEOF.search(raw)
    if two:
        return f"`{two[1]}` and `{two[2]}` are both set{where}", "they exclude each other; keep one of them"
    if raw.startswith(('Expected "}"', 'Expected ">"')):
        return f"the text ends, but `{'.'.join(position.blocks)}` is not closed", "add the missing `}`"
    field = message.fields_by_name.get(position.field) if message is not None and position.field else None
    if field is not None and raw.startswith(_WRONG_VALUE):
        return _wrong_value(field, position)
    if raw.startswith('Expected ":"'):
        before = position.token or "the end of the text"
        return f"expected `:` before {before}{where}", "a value is written `name: value`, a block `name { ... }`"
    if position.token == "}" and not position.blocks:
        return "this `}` closes nothing", "remove it, or look for a block above that is closed too early"
    raw = raw.rstrip(".").replace("Expected identifier or number, got", "expected the name of a field, not")
    return f"{raw}{where}", None


def _field_hint(name: str, message: Descriptor) -> str | None:
    return name_hint(name, field_names(message), f"fields of {message.name}")


def _wrong_value(field: FieldDescriptor, position: TextPosition) -> tuple[str, str | None]:
    hint = None
    quoted = position.token[:1] in ('"', "'")
    if quoted and field.cpp_type not in (STRING, MESSAGE):
        hint = "write the value without quotes"
    elif field.cpp_type == ENUM:
        nearest = nearest_name(position.token.strip("\"'"), enum_names(field.enum_type))
        hint = f"did you mean `{nearest}`?" if nearest else None
    elif field.cpp_type == STRING and not quoted:
        hint = f'put it in quotes: "{position.token}"'
    return f"`{position.path}` takes {describe(field)}, not {position.token or 'the end of the text'}", hint
