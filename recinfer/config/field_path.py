"""Paths to fields of a config, such as ``feature_configs[0].id_feature.embedding_dim``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from recinfer.errors import ConfigError

_STEP = re.compile(r"""\s*(?P<name>[A-Za-z_]\w*)(?:\[(?P<key>"(?:\\.|[^"\\])*"|[^\]"]*)\])?\s*""")
_EXAMPLES = "data_config.batch_size=4096 or feature_configs[0].id_feature.embedding_dim=8"


@dataclass(frozen=True)
class Step:
    """One part of a path: a field and, for a list or a map, the key in brackets as written."""

    name: str
    key: str | None = None

    def __str__(self) -> str:
        return self.name if self.key is None else f"{self.name}[{self.key}]"


def parse_path(path: str) -> list[Step]:
    """Splits a path into its steps.

    Raises:
        ConfigError: it is not a path.
    """
    steps, rest = _read(path)
    if rest:
        raise ConfigError(f"`{path}` is not a path to a field", f"write it as {_EXAMPLES}")
    return steps


def split_assignment(text: str) -> tuple[list[Step], str]:
    """Splits ``path=value``; the value may hold further equals signs and is returned as it stands.

    Raises:
        ConfigError: there is no equals sign, or no path before it.
    """
    steps, rest = _read(text)
    if not rest.startswith("="):
        raise ConfigError(f"`{text}` is not a path, an equals sign and a value", f"write it as {_EXAMPLES}")
    return steps, rest[1:]


def join(steps: list[Step]) -> str:
    """The path as text."""
    return ".".join(str(step) for step in steps)


def _read(text: str) -> tuple[list[Step], str]:
    steps, at = [], 0
    while True:
        match = _STEP.match(text, at)
        if match is None:
            raise ConfigError(f"`{text}` is not a path to a field", f"write it as {_EXAMPLES}")
        steps.append(Step(match["name"], match["key"]))
        at = match.end()
        if text[at : at + 1] != ".":
            return steps, text[at:]
        at += 1
