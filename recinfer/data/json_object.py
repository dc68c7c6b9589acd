"""Reads the small JSON files that folders of ours and of the reference hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from recinfer.errors import ModelError

Shape = TypeVar("Shape")


def read_json_object(path: Path, hint: str) -> dict[str, Any]:
    """The content of a file; empty where there is none.

    Args:
        hint: what to do about a damaged one.

    Raises:
        ModelError: it does not parse, or holds no object.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is damaged: {error}", hint) from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} is damaged: it holds no object", hint)
    return content


def shaped(content: Any, shape: type[Shape], path: Path, hint: str) -> Shape:
    """Content of a file as a dataclass or typed dict; keys that it does not name are left out.

    Args:
        content: as JSON has it.
        path: of the file, for messages.
        hint: what to do about a damaged one.

    Raises:
        ModelError: a part is missing, or is of another type.
    """
    try:
        return msgspec.convert(content, shape)
    except msgspec.ValidationError as error:
        raise ModelError(f"{path} is damaged: {error}", hint) from error
