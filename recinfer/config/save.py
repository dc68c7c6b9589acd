"""Writes pipeline configs."""

from __future__ import annotations

import contextlib
import os
import uuid

from google.protobuf import text_format

from recinfer.errors import OutputError
from recinfer.protos.pipeline_pb2 import EasyRecConfig


def to_text(config: EasyRecConfig) -> str:
    """The config in protobuf text format, which parses back to an equal config."""
    return text_format.MessageToString(config, as_utf8=True)


def save_pipeline_config(config: EasyRecConfig, path: str | os.PathLike[str]) -> None:
    """Writes the config to a local file, whose folder is made where it is missing.

    The file is written beside its place and renamed, so readers see the old text or the new one, never a part.

    Raises:
        OutputError: the file cannot be written.
    """
    target = os.fspath(path)
    folder = os.path.dirname(target) or "."
    try:
        os.makedirs(folder, exist_ok=True)
        _write_then_rename(to_text(config), target, folder)
    except OSError as error:
        raise OutputError(f"{target}: cannot write the config: {error.strerror or error}") from error


def _write_then_rename(text: str, target: str, folder: str) -> None:
    temporary = os.path.join(folder, f".{os.path.basename(target)}.{uuid.uuid4().hex}")
    try:
        with open(temporary, "x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
