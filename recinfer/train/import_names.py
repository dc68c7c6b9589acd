"""Which name of a foreign checkpoint becomes which name of the model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from recinfer.config.nearest import name_hint
from recinfer.errors import UsageError

WRITE = "write old=new, or old.*=new.* for all names that begin so"


def read_pairs(values: Sequence[str]) -> list[tuple[str, str]]:
    """(old, new) of each ``--map``: a pair ``old=new``, or a file with one pair a line.

    In a file, blank lines and lines that start with ``#`` do not count.

    Raises:
        UsageError: a value is neither, or a line is no pair.
    """
    pairs = []
    for value in values:
        if "=" in value and not Path(value).is_file():
            pairs.append(_pair(value, "--map"))
            continue
        try:
            lines = Path(value).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--map {value!r} is no pair, and no file that can be read: {error}", WRITE) from error
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.lstrip().startswith("#"):
                pairs.append(_pair(line, f"line {number} of {value}"))
    return pairs


def rename(pairs: Sequence[tuple[str, str]], stored: Collection[str]) -> dict[str, str]:
    """Name in the model -> name in the checkpoint: what the pairs say, and each other name as it is.

    A pair of whole names wins over one with ``*``; one name of the checkpoint may serve several of the model.

    Raises:
        UsageError: a pair fits no name of the checkpoint, or two names would become the same.
    """
    given: dict[str, str] = {}
    for old, new in sorted(pairs, key=lambda pair: pair[0].endswith("*")):
        if old.endswith("*"):
            fitting = {new[:-1] + name[len(old) - 1 :]: name for name in stored if name.startswith(old[:-1])}
        else:
            fitting = {new: old} if old in stored else {}
        if not fitting:
            hint = name_hint(old.rstrip("*"), stored, "names")
            raise UsageError(f"--map names {old!r}, which is not in the checkpoint", hint)
        named = set(given.values()) if old.endswith("*") else set()
        for ours, name in fitting.items():
            if name in named:
                continue
            if given.setdefault(ours, name) != name:
                raise UsageError(f"--map makes both {given[ours]!r} and {name!r} to {ours!r}", "name each once")
    taken = set(given.values())
    return {name: name for name in stored if name not in taken} | given


def _pair(text: str, where: str) -> tuple[str, str]:
    old, _, new = (part.strip() for part in text.partition("="))
    if not old or not new or "=" in new or old.endswith("*") != new.endswith("*"):
        raise UsageError(f"{where}: {text.strip()!r} is no pair of names", WRITE)
    return old, new
