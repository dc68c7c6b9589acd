"""Holds an export folder against its ``recinfer.json`` before anything in it runs."""

from __future__ import annotations

import hashlib
from pathlib import Path

from recinfer.errors import ModelError
from recinfer.predict.manifest import HINT, MANIFEST, read_manifest

# Files that run, or decide scores: where there is a manifest, it must list them.
PROGRAMS = (".pt", ".pt2", ".safetensors", ".so")
SETTINGS = ("compiled.json", "fg.json", "gpu.json", "model_acc.json", "pipeline.config")
# Only exports of ours have it, and none of them is without a manifest.
OURS = "compiled.json"


def check_files(folder: Path) -> dict[str, str]:
    """Refuses an export whose files are not those that were exported; folders of the reference have no manifest.

    Returns:
        The SHA-256 of each file, by relative path; empty without a manifest.

    Raises:
        ModelError: a file is missing, changed or cannot be read, a program is not listed, or the manifest is missing
            where it must be, or damaged.
    """
    path = folder / MANIFEST
    if not path.is_file():
        if path.exists() or (folder / OURS).is_file():
            raise ModelError(f"{folder} is no complete export: {MANIFEST} is missing", "copy it again, or export again")
        return {}
    listed = read_manifest(folder).get("sha256", {})
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if (file.suffix in PROGRAMS or name in SETTINGS) and name not in listed:
            raise ModelError(
                f"{folder} is not as it was exported: {MANIFEST} does not list {name}",
                "copy the export again, and take away what does not belong to it",
            )
    for name, expected in listed.items():
        file = folder / name
        if not file.is_file():
            raise ModelError(f"{folder} is no complete export: {name} is missing", "copy it again, or export again")
        try:
            with file.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise ModelError(f"{file} cannot be read: {error.strerror}", "let whoever predicts read it") from error
        if found != expected:
            raise ModelError(f"{file} is not the file that was exported: its SHA-256 differs", HINT)
    return listed
