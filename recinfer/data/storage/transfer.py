"""Whole folders to and from a store."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from recinfer.data.storage.client import ObjectClient, ObjectInfo
from recinfer.data.storage.remote_path import RemotePath
from recinfer.data.storage.store_error import StoreError

# Files on their way at once; each is read and written piece by piece.
FILES_AT_ONCE = 4


def files_below(client: ObjectClient, place: RemotePath) -> dict[str, ObjectInfo]:
    """The files of a folder and of the folders in it, by path from the folder."""
    prefix = f"{place.key}/" if place.key else ""
    found = {info.key.removeprefix(prefix): info for info in client.below(prefix)}
    # Some tools mark a folder with an empty object whose name ends in a slash.
    return {name: info for name, info in found.items() if name and not name.endswith("/")}


def download(client: ObjectClient, files: Mapping[str, ObjectInfo], folder: Path) -> None:
    """Copies objects to a local folder.

    Args:
        files: objects by their path in the folder.

    Raises:
        StoreError: a path would lead out of the folder, an object changed meanwhile, or the store fails.
    """

    def one(item: tuple[str, ObjectInfo]) -> None:
        name, info = item
        path = folder / _safe(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        client.download(info.key, path)
        if path.stat().st_size != info.size:
            raise StoreError(f"{info.key} was replaced while it was read", "run the command again")

    with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        list(pool.map(one, files.items()))


def upload(client: ObjectClient, folder: Path, place: RemotePath, last: Collection[str] = ()) -> list[str]:
    """Copies a local folder to a store; returns the paths in it.

    Args:
        last: files that make the copy count, in the order in which they follow all others.
    """
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

    def one(name: str) -> None:
        client.write_from((place / name).key, folder / name)

    with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        list(pool.map(one, [name for name in names if name not in last]))
    for name in last:
        if name in names:
            one(name)
    return names


def _safe(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise StoreError(f"a file's name leads out of its folder: {name!r}", "do not use this folder")
    return path
