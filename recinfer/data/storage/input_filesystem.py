"""The file system of an input path or URI, as pyarrow reads it: its own client for S3, fsspec for other stores."""

from __future__ import annotations

import os
import socket
import time
from functools import lru_cache
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from recinfer.data.storage.fsspec_client import open_filesystem
from recinfer.data.storage.remote_path import RemotePath, is_remote, parse_remote
from recinfer.data.storage.s3_errors import BUSY, CREDENTIALS, UNREACHED
from recinfer.data.storage.store_error import StoreError
from recinfer.env import read_environment
from recinfer.errors import InputError

# Each request: waits of 0.05, 0.1, 0.2 ... seconds, 13 s in all. Reads that break off begin again the same way.
TRIES = 8
HINTS = {
    "NETWORK_CONNECTION": UNREACHED,
    "ACCESS_DENIED": CREDENTIALS,
    "INVALID_ACCESS_KEY_ID": CREDENTIALS,
    "SIGNATURE_DOES_NOT_MATCH": CREDENTIALS,
    "HTTP status 403": CREDENTIALS,
    "HTTP status 5": BUSY,
    "SLOW_DOWN": BUSY,
    "SERVICE_UNAVAILABLE": BUSY,
    "INTERNAL_FAILURE": BUSY,
}


def filesystem_of(path: str) -> tuple[pafs.FileSystem, str]:
    """Returns the file system of a path or URI and the path inside it.

    Raises:
        InputError: nothing knows the URI's scheme, or its store cannot be reached.
        UsageError: the URI is no good.
    """
    if not is_remote(path):
        return pafs.LocalFileSystem(), os.path.abspath(os.path.expanduser(path.removeprefix("file://")))
    place = parse_remote(path)
    try:
        if place.scheme == "s3":
            return s3_filesystem(place.bucket, place.query), f"{place.bucket}/{place.key}".rstrip("/")
        filesystem, inner = open_filesystem(place)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"cannot open {path}: {str(error).splitlines()[0]}", store_hint(error)) from error
    return pafs.PyFileSystem(pafs.FSSpecHandler(filesystem)), inner


@lru_cache(maxsize=64)
def s3_filesystem(bucket: str, query: str) -> pafs.S3FileSystem:
    """The client of a bucket, shared by all threads."""
    options = RemotePath("s3", bucket, "", query).options
    endpoint = options.get("endpoint_override") or read_environment().s3_endpoint
    region = options.get("region")
    if region is None and endpoint is None:
        region = pafs.resolve_s3_region(bucket)
    if endpoint is not None:
        _reach(endpoint, options.get("scheme", "https"))
    return pafs.S3FileSystem(
        region=region,
        endpoint_override=endpoint,
        scheme=options.get("scheme"),
        retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=TRIES),
        connect_timeout=10,
        request_timeout=60,
    )


def _reach(endpoint: str, scheme: str) -> None:
    """Connects to a server once: pyarrow would try for half a minute where a name or a port is misspelt.

    Raises:
        StoreError: there is no such server.
    """
    address = urlsplit(endpoint if "://" in endpoint else f"{scheme}://{endpoint}")
    port = address.port or (443 if address.scheme == "https" else 80)
    for wait in (0.2, 0.4, 0.8, None):
        try:
            socket.create_connection((address.hostname or "", port), timeout=10).close()
            return
        except OSError as error:
            if wait is None:
                raise StoreError(f"no store answers at {endpoint} ({error.strerror or error})", UNREACHED) from error
            time.sleep(wait)


def to_uri(named: RemotePath, inner: str) -> str:
    """The URI of a path that the file system of ``named`` has listed."""
    key = inner.strip("/")
    key = key.removeprefix(named.bucket).lstrip("/") if key.startswith(f"{named.bucket}/") else key
    return str(RemotePath(named.scheme, named.bucket, key, named.query))


def store_hint(error: BaseException) -> str | None:
    """What to do about an error of a store; None for errors that say nothing about stores."""
    given = getattr(error, "hint", None)
    return given or next((hint for mark, hint in HINTS.items() if mark in str(error)), None)
