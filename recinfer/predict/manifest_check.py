"""Holds an export folder against its ``recinfer.json`` before anything in it runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import Any

from recinfer.errors import ModelError

MANIFEST = "recinfer.json"
# Files that run, or decide scores: where there is a manifest, it must list them.
PROGRAMS = (".pt", ".pt2", ".safetensors", ".so")
SETTINGS = ("compiled.json", "fg.json", "gpu.json", "model_acc.json", "pipeline.config")
# Only exports of ours have it, and none of them is without a manifest.
OURS = "compiled.json"
# What the manifest holds, as JSON has it; anything else is damage. The reference has no such file.
SHAPES: dict[str, tuple[type, ...]] = {
    "format": (int,),
    "bytes": (int,),
    **dict.fromkeys(("created_by", "created_at", "device", "gpu", "kind", "machine", "model_fingerprint"), (str,)),
    **dict.fromkeys(("auc", "inputs", "outputs", "parity", "sha256", "speeds", "types", "versions"), (dict,)),
    **dict.fromkeys(("cpu_features", "quantized_layers", "tables"), (list,)),
    **dict.fromkeys(("choice", "folded", "input_tile"), (dict, NoneType)),
}
# Without these nobody could tell whether machine code runs here.
NEEDED = ("cpu_features", "machine", "versions")


def check_shape(manifest: Mapping[str, Any], path: Path) -> None:
    """Refuses a manifest whose parts are not what they should be.

    Args:
        manifest: the content of ``recinfer.json``; an empty one is none.
        path: of it, for messages.

    Raises:
        ModelError: it is damaged.
    """
    flaws = [
        f"`{key}` is {json.dumps(manifest[key])[:40]}"
        for key, types in SHAPES.items()
        if key in manifest and type(manifest[key]) not in types
    ]
    flaws += [f"it lacks `{key}`" for key in NEEDED if "kind" in manifest and key not in manifest]
    if not flaws:
        texts = {"versions": manifest.get("versions", {}).values(), "cpu_features": manifest.get("cpu_features", [])}
        flaws = [
            f"`{key}` holds what is no text" for key, held in texts.items() if not all(type(e) is str for e in held)
        ]
    if flaws:
        raise ModelError(f"{path} is damaged: {flaws[0]}", "export the model again")


def check_files(folder: Path) -> dict[str, str]:
    """Refuses an export whose files are not those that were exported; folders of the reference have no manifest.

    Returns:
        The SHA-256 of each file, by relative path; empty without a manifest.

    Raises:
        ModelError: a file is missing, changed or cannot be read, a program is not listed, or the manifest is missing
            where it must be, or does not parse.
    """
    path = folder / MANIFEST
    if not path.is_file():
        if path.exists() or (folder / OURS).is_file():
            raise ModelError(f"{folder} is no complete export: {MANIFEST} is missing", "copy it again, or export again")
        return {}
    try:
        listed: dict[str, str] = dict(json.loads(path.read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is damaged: {error!r}", "export the model again") from error
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if (file.suffix in PROGRAMS or name in SETTINGS) and name not in listed:
            raise ModelError(
                f"{folder} is not as it was exported: {MANIFEST} does not list {name}", "take it away, or export again"
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
            raise ModelError(f"{file} is not the file that was exported: its SHA-256 differs", "export the model again")
    return listed
