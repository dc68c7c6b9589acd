"""Every other store, through fsspec and the package that knows the scheme: gcsfs, ossfs, adlfs, pyarrow for HDFS."""

from __future__ import annotations

import errno
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from recinfer.data.storage.client import ObjectClient, ObjectInfo
from recinfer.data.storage.remote_path import RemotePath
from recinfer.data.storage.store_error import StoreError

PACKAGES = {"gs": "gcsfs", "gcs": "gcsfs", "oss": "ossfs", "abfs": "adlfs", "az": "adlfs"}
# Where the store itself refuses to create what exists; elsewhere we look first.
CREATING = frozenset({"gs", "gcs", "memory"})
# File systems with folders of their own, in which a file can be seen while it is being written.
WITH_FOLDERS = frozenset({"hdfs", "viewfs", "webhdfs", "local"})
CHANGED = ("mtime", "LastModified", "last_modified", "updated", "created")
PASSING = frozenset({errno.EIO, errno.EBUSY, errno.EAGAIN, errno.ETIMEDOUT, errno.ECONNRESET, errno.EPIPE})


def open_filesystem(place: RemotePath) -> tuple[Any, str]:
    """The fsspec file system of a URI, and the path inside it.

    Raises:
        StoreError: no package that is installed knows the scheme, or the store cannot be reached.
    """
    import fsspec

    try:
        return fsspec.url_to_fs(str(place), use_listings_cache=False)
    except (ImportError, ValueError) as error:
        package = PACKAGES.get(place.scheme)
        raise StoreError(
            f"no package that is installed knows {place.scheme}://",
            f"pip install {package}" if package else "use a local path, s3://, gs://, hdfs:// or oss://",
        ) from error
    except OSError as error:
        hint = "set JAVA_HOME, HADOOP_HOME and CLASSPATH as pyarrow's documentation says"
        raise StoreError(str(error).splitlines()[0], hint if place.scheme == "hdfs" else None) from error


class FsspecClient(ObjectClient):
    """One bucket, or one file system."""

    def __init__(self, place: RemotePath) -> None:
        super().__init__()
        bucket = RemotePath(place.scheme, place.bucket, "", place.query)
        self._fs, self._base = open_filesystem(bucket)
        self._base = self._base.rstrip("/")
        self._creates = place.scheme in CREATING
        self._with_folders = place.scheme in WITH_FOLDERS

    def drop_uploads(self, prefix: str) -> None:
        """Nothing: fsspec lists no such uploads; a rule of the bucket can delete them."""

    def _path(self, key: str) -> str:
        return f"{self._base}/{key}".rstrip("/")

    def _read(self, key: str) -> bytes:
        return bytes(self._fs.cat_file(self._path(key)))

    def _read_range(self, info: ObjectInfo, first: int, size: int) -> bytes:
        content = bytes(self._fs.cat_file(self._path(info.key), start=first, end=first + size))
        if len(content) != size:
            raise StoreError(f"{len(content)} of {size} bytes came", transient=True)
        return content

    def _write(self, key: str, content: bytes) -> None:
        self._place(key, lambda path: self._fs.pipe_file(path, content))

    def _create(self, key: str, content: bytes) -> None:
        if self._creates:
            self._fs.pipe_file(self._path(key), content, mode="create")
            return
        self._refuse_existing(key)
        self._write(key, content)

    def _upload(self, key: str, path: Path, create: bool) -> None:
        def once() -> None:
            if create and self._creates:
                self._fs.put_file(str(path), self._path(key), mode="create")
                return
            if create:
                self._refuse_existing(key)
            self._place(key, lambda target: self._fs.put_file(str(path), target))

        self._patiently(key, once)

    def _refuse_existing(self, key: str) -> None:
        if self._fs.exists(self._path(key)):
            raise FileExistsError(f"{key} exists already")

    def _place(self, key: str, put: Callable[[str], Any]) -> None:
        """Puts an object in place whole: file systems with folders show half of one, so there it is renamed."""
        path = self._path(key)
        if not self._with_folders:
            put(path)
            return
        folder, _, name = path.rpartition("/")
        draft = f"{folder}/.{name}.{uuid.uuid4().hex[:8]}"
        self._fs.makedirs(folder, exist_ok=True)
        put(draft)
        if self._fs.exists(path):
            self._fs.rm_file(path)
        self._fs.mv(draft, path)

    def _info(self, key: str) -> ObjectInfo | None:
        try:
            found = self._fs.info(self._path(key))
        except FileNotFoundError:
            return None
        return self._listed(found) if found["type"] == "file" else None

    def _below(self, prefix: str) -> list[ObjectInfo]:
        try:
            found = self._fs.find(self._path(prefix), detail=True)
        except FileNotFoundError:
            return []
        return [self._listed(item) for item in found.values()]

    def _entries(self, prefix: str) -> tuple[list[ObjectInfo], list[str]]:
        try:
            found = self._fs.ls(self._path(prefix), detail=True)
        except FileNotFoundError:
            return [], []
        objects = [self._listed(item) for item in found if item["type"] == "file"]
        folders = [item["name"].rstrip("/").rpartition("/")[2] for item in found if item["type"] == "directory"]
        return objects, folders

    def _copy(self, source: ObjectInfo, target: str) -> None:
        self._place(target, lambda path: self._fs.cp_file(self._path(source.key), path))

    def _delete(self, key: str) -> None:
        try:
            self._fs.rm_file(self._path(key))
        except FileNotFoundError:
            return

    def _listed(self, item: dict[str, Any]) -> ObjectInfo:
        key = item["name"].removeprefix(self._base).lstrip("/")
        changed = next((seconds_of(item[name]) for name in CHANGED if item.get(name)), 0.0)
        version = str(item.get("ETag") or item.get("etag") or f"{changed}")
        return ObjectInfo(key, int(item["size"] or 0), changed, version)

    def _explain(self, error: Exception, key: str) -> OSError | None:
        return explain(error)


def explain(error: Exception) -> OSError | None:
    """What an error of fsspec, or of a package that it uses, means; None for one that is a bug."""
    if isinstance(error, StoreError | FileNotFoundError | FileExistsError):
        return error
    text = (str(error) or type(error).__name__).splitlines()[0]
    code = getattr(error, "code", None) or getattr(error, "status", None)
    busy = isinstance(code, int) and (code >= 500 or code == 429)
    if isinstance(error, PermissionError) or code in (401, 403):
        return StoreError(f"access denied ({text})", "check the credentials, and the rights to this place")
    package = type(error).__module__.partition(".")[0]
    if isinstance(error, ConnectionError | TimeoutError) or package == "aiohttp":
        return StoreError(f"the store did not answer ({text})", "check the network", transient=True, answered=False)
    if isinstance(error, OSError):
        return StoreError(text, transient=busy or error.errno in PASSING)
    return None if package in ("builtins", "recinfer") else StoreError(text, transient=busy)


def seconds_of(moment: Any) -> float:
    """A time of change in seconds since 1970, from what fsspec's file systems give."""
    if isinstance(moment, datetime):
        return moment.timestamp()
    if isinstance(moment, str):
        return datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()
    return float(moment)
