"""Walks over the messages of a config."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.message import Message

from recinfer.config.field_types import MESSAGE, is_map


def walk(message: Message, path: str = "") -> Iterator[tuple[str, Message]]:
    """``message`` and every message set inside it, outermost first, each with its path; maps are left out."""
    yield path, message
    for field, value in message.ListFields():
        if field.cpp_type != MESSAGE or is_map(field):
            continue
        inner = f"{path}.{field.name}" if path else field.name
        if field.is_repeated:
            for index, item in enumerate(value):
                yield from walk(item, f"{inner}[{index}]")
        else:
            yield from walk(value, inner)
