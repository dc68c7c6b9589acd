"""Where output folders lie: local ones, and those of object stores."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from recinfer.data.storage.base import Storage
from recinfer.data.storage.local import LocalStorage
from recinfer.data.storage.remote_path import RemotePath, is_remote, parse_remote

__all__ = ["AnyPlace", "Storage", "place_of", "storage_of"]

AnyPlace = Path | RemotePath


def place_of(path: str | os.PathLike[str] | RemotePath) -> AnyPlace:
    """What a path or URI names: local ones without symbolic links.

    Raises:
        UsageError: the URI has no bucket, holds credentials, or options that are not known.
    """
    if isinstance(path, RemotePath):
        return path
    text = os.fspath(path)
    if is_remote(text):
        return parse_remote(text)
    return Path(os.path.realpath(os.path.expanduser(text.removeprefix("file://"))))


def storage_of(place: AnyPlace) -> Storage[Any]:
    """The storage of one output folder.

    Raises:
        OSError: a package is missing, or the store cannot be reached.
    """
    if isinstance(place, RemotePath):
        # Here, so that jobs on local folders do not wait for the clients of stores.
        from recinfer.data.storage.clients import client_of
        from recinfer.data.storage.object_storage import ObjectStorage

        return ObjectStorage(client_of(place))
    return LocalStorage()
