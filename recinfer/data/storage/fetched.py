"""Local copies of folders in stores: each is downloaded once, kept while it is used, and dropped when space is short.

``~/.cache/recinfer/fetched/<key>`` holds a copy; the key follows from the names, sizes and versions of its files, so a
folder that changes gets another. ``<key>.lock`` is held by the processes that use it.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from recinfer.data.storage.client import ObjectClient, ObjectInfo
from recinfer.data.storage.clients import client_of
from recinfer.data.storage.remote_path import RemotePath, is_remote, parse_remote
from recinfer.data.storage.transfer import download
from recinfer.env import read_environment

logger = logging.getLogger(__name__)

# Copies that no process uses are dropped, those not used for longest first, while all take more than this.
MOST_BYTES = 50 << 30

_mutex = threading.Lock()
_held: dict[str, int] = {}


def cache_folder() -> Path:
    """Where copies are kept."""
    return read_environment().cache_home.expanduser() / "recinfer" / "fetched"


def fetch(
    client: ObjectClient,
    place: RemotePath,
    files: Mapping[str, ObjectInfo],
    check: Callable[[Path], None] | None = None,
) -> Path:
    """A local folder that holds the files, from the cache or from the store.

    Args:
        place: what is fetched.
        files: objects by their path in the folder.
        check: looks at a new copy before it counts, and raises where it is no good.

    Raises:
        OSError: the store fails, or there is no room.
    """
    key = _key(place, files)
    entry = cache_folder() / key
    with _mutex:
        if key in _held and entry.is_dir():
            return entry
        entry.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(entry.with_name(f"{key}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(lock, fcntl.LOCK_SH)
        if not entry.is_dir():
            # One process downloads; the others wait here, and find the copy.
            fcntl.flock(lock, fcntl.LOCK_UN)
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                if not entry.is_dir():
                    _make(client, place, files, entry, check)
            except BaseException:
                os.close(lock)
                raise
            fcntl.flock(lock, fcntl.LOCK_SH)
        os.utime(entry.with_name(f"{key}.lock"))
        _held[key] = lock
        _drop_old(entry.parent)
    return entry


def local_file(path: str | os.PathLike[str]) -> Path:
    """A file as a local one: itself, or its copy where it lies in a store.

    Raises:
        FileNotFoundError: the store has none.
        OSError: the store fails.
    """
    if not is_remote(path):
        return Path(path)
    place = parse_remote(str(path))
    client = client_of(place)
    info = client.info(place.key)
    if info is None:
        raise FileNotFoundError(f"{place} does not exist")
    return fetch(client, place, {place.name: info}) / place.name


def _key(place: RemotePath, files: Mapping[str, ObjectInfo]) -> str:
    digest = hashlib.sha256(str(place).encode())
    for name, info in sorted(files.items()):
        digest.update(f"\n{name}\t{info.size}\t{info.version}\t{info.changed}".encode())
    return digest.hexdigest()[:32]


def _make(
    client: ObjectClient,
    place: RemotePath,
    files: Mapping[str, ObjectInfo],
    entry: Path,
    check: Callable[[Path], None] | None,
) -> None:
    for left in entry.parent.glob(f".{entry.name}.*"):
        shutil.rmtree(left, ignore_errors=True)
    draft = entry.with_name(f".{entry.name}.{uuid.uuid4().hex[:8]}")
    logger.info("copying %s (%d files, %d bytes) to %s", place, len(files), _size(files), entry)
    try:
        draft.mkdir()
        download(client, files, draft)
        if check is not None:
            check(draft)
        draft.rename(entry)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _size(files: Mapping[str, ObjectInfo]) -> int:
    return sum(info.size for info in files.values())


def _drop_old(folder: Path) -> None:
    """Drops copies that nobody uses while there is too much of them."""
    locks = [path for path in folder.glob("*.lock") if path.with_suffix("").is_dir()]
    sizes = {path: _disk_bytes(path.with_suffix("")) for path in locks}
    total = sum(sizes.values())
    for path in sorted(locks, key=lambda path: path.stat().st_mtime):
        if total <= MOST_BYTES:
            return
        lock = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path.with_suffix(""))
            total -= sizes[path]
        except BlockingIOError:
            continue
        finally:
            os.close(lock)


def _disk_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
