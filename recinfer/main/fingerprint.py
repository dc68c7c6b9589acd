"""Fingerprints of models: equal files give equal fingerprints."""

from __future__ import annotations

import hashlib
from pathlib import Path


def fingerprint(path: Path) -> str:
    """SHA-256 over the names and contents of a file, or of all files below a folder, as hex.

    Only what decides scores counts: a checkpoint's optimizer state does not.
    """
    digest = hashlib.sha256()
    root, files = _files(path)
    for file in files:
        digest.update(file.relative_to(root.parent).as_posix().encode() + b"\0")
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def quick_fingerprint(checkpoint: Path) -> str:
    """The same over names and sizes alone, and the contents of the index: what each of many processes can afford."""
    from recinfer.train.checkpoint_storage import INDEX

    digest = hashlib.sha256()
    root, files = _files(checkpoint)
    for file in files:
        digest.update(f"{file.relative_to(root.parent).as_posix()}\0{file.stat().st_size}\0".encode())
        if file.name == INDEX:
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _files(path: Path) -> tuple[Path, list[Path]]:
    root = path / "model" if (path / "model").is_dir() else path
    return root, sorted(each for each in root.rglob("*") if each.is_file()) if root.is_dir() else [root]
