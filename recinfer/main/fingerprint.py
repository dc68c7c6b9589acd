"""Fingerprints of models: equal files give equal fingerprints."""

from __future__ import annotations

import hashlib
from pathlib import Path


def fingerprint(path: Path) -> str:
    """SHA-256 over the names and contents of a file, or of all files below a folder, as hex.

    Only what decides scores counts: a checkpoint's optimizer state does not.
    """
    digest = hashlib.sha256()
    root = path / "model" if (path / "model").is_dir() else path
    files = sorted(each for each in root.rglob("*") if each.is_file()) if root.is_dir() else [root]
    for file in files:
        digest.update(file.relative_to(root.parent).as_posix().encode() + b"\0")
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
