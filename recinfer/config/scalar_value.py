"""Converts what a user wrote, as text or as JSON, to the type of a config field."""

from __future__ import annotations

import json
import math
from typing import Any

from google.protobuf import text_encoding
from google.protobuf.descriptor import FieldDescriptor

from recinfer.config.field_types import BOOL, ENUM, FLOATS, INTEGER_RANGES, STRING, describe, enum_names
from recinfer.config.nearest import nearest_name
from recinfer.errors import ConfigError

_BOOLS = {"true": True, "false": False, "t": True, "f": False, "1": True, "0": False}
_FLOAT_MAX = 3.4028234663852886e38


def from_text(field: FieldDescriptor, text: str) -> Any:
    """The value of one scalar field from the command line.

    A text may stand bare; in double quotes it is read with the escapes of a config, so ``"\\t"`` is a tab.

    Raises:
        ConfigError: the text is not a value of the field's type.
    """
    bare = text.strip()
    if field.cpp_type == STRING:
        return _unquote(field, text)
    try:
        if field.cpp_type in INTEGER_RANGES:
            return from_json(field, int(bare))
        if field.cpp_type in FLOATS:
            return _checked_float(field, float(bare), bare)
    except ValueError as error:
        raise wrong_value(field, text) from error
    if field.cpp_type == BOOL:
        if bare.lower() not in _BOOLS:
            raise wrong_value(field, text)
        return _BOOLS[bare.lower()]
    if bare.isdecimal():
        return from_json(field, int(bare))
    return _enum_number(field, bare)


def from_json(field: FieldDescriptor, value: object) -> Any:
    """The value of one scalar field from JSON: a number, a boolean or a text; a text may also spell a number.

    Raises:
        ConfigError: the value is not of the field's type.
    """
    if isinstance(value, str):
        return value if field.cpp_type == STRING else from_text(field, value)
    is_int = isinstance(value, int) and not isinstance(value, bool)
    if field.cpp_type in INTEGER_RANGES and is_int:
        low, high = INTEGER_RANGES[field.cpp_type]
        if low <= value <= high:  # type: ignore[operator]
            return value
    if field.cpp_type in FLOATS and (is_int or isinstance(value, float)):
        return _checked_float(field, float(value), str(value))  # type: ignore[arg-type]
    if field.cpp_type == BOOL and isinstance(value, bool):
        return value
    if field.cpp_type == ENUM and is_int and value in field.enum_type.values_by_number:
        return value
    raise wrong_value(field, json.dumps(value))


def wrong_value(field: FieldDescriptor, text: str, hint: str | None = None) -> ConfigError:
    """The error for a value that the field does not take."""
    return ConfigError(f"`{field.name}` takes {describe(field)}, not {text or 'an empty text'}", hint)


def _checked_float(field: FieldDescriptor, value: float, text: str) -> float:
    if math.isfinite(value) and abs(value) > _FLOAT_MAX and field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT:
        raise wrong_value(field, text, "it does not fit a 32-bit float")
    return value


def _enum_number(field: FieldDescriptor, name: str) -> int:
    found = field.enum_type.values_by_name.get(name)
    if found is None:
        nearest = nearest_name(name, enum_names(field.enum_type))
        raise wrong_value(field, name, f"did you mean `{nearest}`?" if nearest else None)
    return found.number


def _unquote(field: FieldDescriptor, text: str) -> str:
    if len(text) < 2 or not (text[0] == text[-1] == '"'):
        return text
    try:
        return text_encoding.CUnescape(text[1:-1]).decode()
    except ValueError as error:
        raise wrong_value(field, text, "the escapes in the quotes are not valid") from error
