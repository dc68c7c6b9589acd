"""Holds an export folder against its ``recinfer.json`` before anything in it runs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from recinfer.errors import ModelError

MANIFEST = "recinfer.json"
# Files that run, or decide scores: where there is a manifest, it must list them.
PROGRAMS = (".pt", ".pt2", ".safetensors", ".so")


def check_files(folder: Path) -> dict[str, str]:
    """Refuses an export whose files are not those that were exported; folders of the reference have no manifest.

    Returns:
        The SHA-256 of each file, by relative path; empty without a manifest.

    Raises:
        ModelError: a file is missing or changed, a program is not listed, or the manifest does not parse.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return {}
    try:
        listed: dict[str, str] = dict(json.loads(path.read_text(encoding="utf-8"))["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is damaged: {error!r}", "export the model again") from error
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if file.suffix in PROGRAMS and name not in listed:
            raise ModelError(
                f"{folder} is not as it was exported: {MANIFEST} does not list {name}", "take it away, or export again"
            )
    for name, expected in listed.items():
        file = folder / name
        if not file.is_file():
            raise ModelError(f"{folder} is no complete export: {name} is missing", "copy it again, or export again")
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != expected:
            raise ModelError(f"{file} is not the file that was exported: its SHA-256 differs", "export the model again")
    return listed
