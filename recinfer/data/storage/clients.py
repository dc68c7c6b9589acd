"""The client of a place's store."""

from __future__ import annotations

import threading
from collections.abc import Callable

from recinfer.data.storage.client import ObjectClient
from recinfer.data.storage.fsspec_client import FsspecClient
from recinfer.data.storage.remote_path import RemotePath
from recinfer.data.storage.s3_client import S3Client

# Schemes with a client of their own; fsspec has the others.
CLIENTS: dict[str, Callable[[RemotePath], ObjectClient]] = {"s3": S3Client}

_mutex = threading.Lock()
_open: dict[tuple[str, str, str], ObjectClient] = {}


def client_of(place: RemotePath) -> ObjectClient:
    """The client of a place's bucket, one for all threads.

    Raises:
        StoreError: a package is missing, or the store cannot be reached.
    """
    name = (place.scheme, place.bucket, place.query)
    with _mutex:
        if name not in _open:
            _open[name] = CLIENTS.get(place.scheme, FsspecClient)(place)
        return _open[name]
