"""Reads pipeline configs."""

from __future__ import annotations

import os

from google.protobuf import text_format

from recinfer.config.parse_error import explain
from recinfer.errors import ConfigError
from recinfer.protos.pipeline_pb2 import EasyRecConfig


def load_pipeline_config(path: str | os.PathLike[str]) -> EasyRecConfig:
    """Reads a pipeline config in protobuf text format.

    Fields that the messages call required may be absent; :func:`recinfer.config.check.check_config` says which matter.

    Raises:
        ConfigError: the file cannot be read or does not parse; names file, line, column and the nearest known name.
    """
    source = os.fspath(path)
    try:
        with open(source, "rb") as file:
            raw = file.read()
    except FileNotFoundError as error:
        raise ConfigError(f"{source}: no such pipeline config", "check the path") from error
    except OSError as error:
        raise ConfigError(f"{source}: cannot be read: {error.strerror or error}") from error
    return parse_pipeline_config(_decode(raw, source), source)


def parse_pipeline_config(text: str, source: str = "<text>") -> EasyRecConfig:
    """Parses the text of a pipeline config; ``source`` names it in errors.

    Raises:
        ConfigError: the text is empty or does not parse.
    """
    config = EasyRecConfig()
    try:
        text_format.Parse(text, config)
    except text_format.ParseError as error:
        raise explain(error, text, source, EasyRecConfig.DESCRIPTOR) from error
    except RecursionError as error:
        raise ConfigError(f"{source}: blocks are nested too deeply", "look for blocks that are not closed") from error
    if not config.ListFields():
        raise ConfigError(f"{source}: the config is empty", "see configs/ for examples")
    return config


def _decode(raw: bytes, source: str) -> str:
    if b"\0" in raw:
        raise ConfigError(f"{source}: this is not a text file", "a pipeline config is protobuf text format, UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - (raw.rfind(b"\n", 0, error.start) + 1) + 1
        hint = "a pipeline config is protobuf text format, UTF-8; save the file in that encoding"
        raise ConfigError(f"{source}:{line}:{column}: byte {raw[error.start]:#04x} is not UTF-8", hint) from error
