"""What a config field takes, in words and in numbers."""

from __future__ import annotations

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

INTEGER_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, (1 << 32) - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, (1 << 64) - 1),
}
FLOATS = {FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE}
BOOL = FieldDescriptor.CPPTYPE_BOOL
STRING = FieldDescriptor.CPPTYPE_STRING
ENUM = FieldDescriptor.CPPTYPE_ENUM
MESSAGE = FieldDescriptor.CPPTYPE_MESSAGE


def is_map(field: FieldDescriptor) -> bool:
    """Whether the field is a map; protobuf describes one as a repeated message of key and value."""
    return field.cpp_type == MESSAGE and field.message_type.GetOptions().map_entry


def enum_names(enum: EnumDescriptor) -> list[str]:
    """The values of an enum by name, in the order of the .proto file."""
    return [value.name for value in enum.values]


def field_names(message: Descriptor) -> list[str]:
    """The fields of a message by name, in the order of the .proto file."""
    return [field.name for field in message.fields]


def describe(field: FieldDescriptor) -> str:
    """One value of the field in words, for example ``a whole number from 0 to 4294967295``."""
    if field.cpp_type in INTEGER_RANGES:
        low, high = INTEGER_RANGES[field.cpp_type]
        return f"a whole number from {low} to {high}"
    if field.cpp_type in FLOATS:
        return "a number"
    if field.cpp_type == BOOL:
        return "true or false"
    if field.cpp_type == ENUM:
        return f"one of {', '.join(enum_names(field.enum_type))}"
    if field.cpp_type == MESSAGE:
        return f"a block of {field.message_type.name} fields in {{ }}"
    return "a text"
