"""The descriptors equal the published schema of the config format, field by field, in both directions."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

import recinfer.protos

SCHEMA = json.loads((Path(__file__).parents[1] / "data" / "config_schema.json").read_text())
PACKAGE = "recinfer.protos."
SCALARS = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_FLOAT: "float",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_UINT64: "uint64",
}


def _modules() -> list[Any]:
    names = [found.name for found in pkgutil.iter_modules(recinfer.protos.__path__) if found.name.endswith("_pb2")]
    return [importlib.import_module(f"recinfer.protos.{name}") for name in names]


def _nested(message: Descriptor) -> Iterator[Descriptor]:
    yield message
    for inner in message.nested_types:
        if not inner.GetOptions().map_entry:
            yield from _nested(inner)


MESSAGES = {
    found.full_name.removeprefix(PACKAGE): found
    for module in _modules()
    for message in module.DESCRIPTOR.message_types_by_name.values()
    for found in _nested(message)
}
ENUMS: dict[str, EnumDescriptor] = {
    enum.full_name.removeprefix(PACKAGE): enum
    for module in _modules()
    for enum in [
        *module.DESCRIPTOR.enum_types_by_name.values(),
        *(
            inner
            for message in MESSAGES.values()
            if message.file.name == module.DESCRIPTOR.name
            for inner in message.enum_types
        ),
    ]
}


def _type_name(field: FieldDescriptor) -> str:
    if field.type == FieldDescriptor.TYPE_ENUM:
        return field.enum_type.full_name.removeprefix(PACKAGE)
    if field.type != FieldDescriptor.TYPE_MESSAGE:
        return SCALARS[field.type]
    if field.message_type.GetOptions().map_entry:
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        return f"map<{_type_name(key)},{_type_name(value)}>"
    return field.message_type.full_name.removeprefix(PACKAGE)


def _default(field: FieldDescriptor) -> Any:
    if field.type == FieldDescriptor.TYPE_ENUM:
        return field.enum_type.values_by_number[field.default_value].name
    return field.default_value


def _as_schema(field: FieldDescriptor) -> dict[str, Any]:
    """The field in the form of the schema file."""
    described: dict[str, Any] = {"name": field.name, "number": field.number, "type": _type_name(field)}
    if field.is_required:
        described["required"] = True
    if field.is_repeated and not described["type"].startswith("map<"):
        described["repeated"] = True
    if field.has_default_value:
        described["default"] = _default(field)
    if field.containing_oneof is not None:
        described["oneof"] = field.containing_oneof.name
    return described


def test_every_message_and_enum_is_there_and_no_other() -> None:
    assert sorted(MESSAGES) == sorted(SCHEMA["messages"])
    assert sorted(ENUMS) == sorted(SCHEMA["enums"])


@pytest.mark.parametrize("name", sorted(SCHEMA["messages"]))
def test_message_fields(name: str) -> None:
    ours = sorted((_as_schema(field) for field in MESSAGES[name].fields), key=lambda field: field["number"])
    schema = sorted(SCHEMA["messages"][name], key=lambda field: field["number"])
    assert ours == schema


@pytest.mark.parametrize("name", sorted(SCHEMA["enums"]))
def test_enum_values(name: str) -> None:
    assert {value.name: value.number for value in ENUMS[name].values} == SCHEMA["enums"][name]


def test_root_and_syntax() -> None:
    assert SCHEMA["root"] in MESSAGES
    assert SCHEMA["syntax"] == "proto2"
    # proto2 knows required fields and tells an unset scalar from a zero.
    assert MESSAGES["IdFeature"].fields_by_name["feature_name"].is_required
    assert MESSAGES["TrainConfig"].fields_by_name["num_steps"].has_presence


def test_defaults_are_written_for_32_bit_floats() -> None:
    """A default read back from a message equals the schema's, which went through float32."""
    from recinfer.protos.metric_pb2 import NormalizedEntropy

    expected = next(field["default"] for field in SCHEMA["messages"]["NormalizedEntropy"] if field["name"] == "eta")
    assert NormalizedEntropy().eta == expected
