"""Files that survive a crash, put in place in one step; and failures as errors that users understand."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from recinfer.errors import InputError, OutputError

HINTS = {
    errno.ENOSPC: "free some space, then run the same command again: finished units are kept",
    errno.EDQUOT: "free some of your quota, then run the same command again: finished units are kept",
    errno.EFBIG: "the file system allows no file of this size",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.ENOTDIR: "part of the path is a file: choose another folder",
    errno.EEXIST: "part of the path is a file: choose another folder",
}


@contextmanager
def output_errors(path: object) -> Iterator[None]:
    """Turns the operating system's errors into an OutputError that names path and cause."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        number = getattr(error, "errno", None)
        cause = os.strerror(number) if number else str(error).splitlines()[0]
        hint = getattr(error, "hint", None) or HINTS.get(number or 0)
        raise OutputError(f"cannot write {path}: {cause}", hint) from error


@contextmanager
def input_errors(path: object) -> Iterator[None]:
    """Turns the errors of the system and of stores into an InputError that names path and cause."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        number = getattr(error, "errno", None)
        cause = os.strerror(number) if number else str(error).splitlines()[0]
        raise InputError(f"cannot read {path}: {cause}", getattr(error, "hint", None)) from error


def sync_file(path: Path) -> None:
    """Waits until a file's content is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(path: Path) -> None:
    """Waits until a folder's entries (names made, renamed, removed) are on disk."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Writes JSON; ``path`` holds, at any moment and after any crash, all of it or what it held before."""
    fresh = path.with_name(f".{path.name}.tmp")
    with open(fresh, "w", encoding="utf-8") as file:
        file.write(json_text(value))
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
    sync_folder(path.parent)


def json_text(value: Any) -> str:
    """JSON as our files hold it."""
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def parse_json(content: bytes, path: object) -> Any:
    """What a JSON file holds.

    Raises:
        InputError: it is damaged.
    """
    try:
        return json.loads(content)
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}", "start again with --overwrite") from error


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
