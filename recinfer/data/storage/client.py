"""The contract of object stores: whole objects under keys, and tries that are repeated where that can help."""

from __future__ import annotations

import hashlib
import logging
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from recinfer.data.files import sha256_of
from recinfer.data.storage.store_error import StoreError

T = TypeVar("T")
logger = logging.getLogger(__name__)

# Waits of 0.2, 0.4, 0.8 ... seconds, each shortened at random by up to a half: 38 s in all.
TRIES = 9
FIRST_WAIT = 0.2
# A store that has never answered is more likely misspelt than busy.
TRIES_TO_REACH = 4
# Of uploads and downloads; S3 takes no smaller pieces than 5 MiB, and 10,000 of them.
PIECE_BYTES = 8 << 20
PARALLEL = 16


@dataclass(frozen=True)
class ObjectInfo:
    """An object, as a store lists it.

    Attributes:
        key: its name in the bucket.
        size: bytes.
        changed: when it was written by the store's clock, in seconds since 1970.
        version: differs when the content does, as far as the store says (an ETag).
    """

    key: str
    size: int
    changed: float
    version: str


class ObjectClient(ABC):
    """Objects of one bucket. Used by many threads at once.

    Everything raises :class:`StoreError` (an OSError) where the store fails for good.
    """

    def __init__(self) -> None:
        self._reached = False

    def read(self, key: str) -> bytes:
        """An object's content, which should be small. Raises FileNotFoundError."""
        return self._patiently(key, lambda: self._read(key))

    def read_all(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The content of many small objects, by key; those that are gone are left out."""

        def one(key: str) -> tuple[str, bytes | None]:
            try:
                return key, self.read(key)
            except FileNotFoundError:
                return key, None

        return {key: content for key, content in self._in_parallel(one, keys) if content is not None}

    def download(self, key: str, path: Path) -> None:
        """Copies an object to a file, piece by piece; one that is replaced meanwhile is an error."""
        info = self.info(key)
        if info is None:
            raise FileNotFoundError(f"{key} does not exist")
        try:
            with path.open("wb") as file:
                for piece in self._pieces(info):
                    file.write(piece)
        except FileExistsError as error:
            raise StoreError("it was replaced while it was read", "run the command again") from error

    def write(self, key: str, content: bytes) -> None:
        """Puts a small object in place, whole or not at all, whatever was there."""
        self._patiently(key, lambda: self._write(key, content))

    def create(self, key: str, content: bytes) -> None:
        """Puts a small object in place where there is none. Raises FileExistsError."""
        tries = 0

        def once() -> None:
            nonlocal tries
            tries += 1
            self._create(key, content)

        try:
            self._patiently(key, once)
        except FileExistsError:
            # The first try may have worked, and its answer been lost.
            if tries == 1 or self.read(key) != content:
                raise

    def create_from(self, key: str, path: Path) -> None:
        """Puts a file's content in place, in pieces where it is large.

        Raises:
            FileExistsError: the key holds other content; the same content is fine.
        """
        self._put_file(key, path, create=True)

    def write_from(self, key: str, path: Path) -> None:
        """As :meth:`create_from`, whatever was there."""
        self._put_file(key, path, create=False)

    def info(self, key: str) -> ObjectInfo | None:
        """What the store knows about an object; None where there is none."""
        return self._patiently(key, lambda: self._info(key))

    def below(self, prefix: str) -> list[ObjectInfo]:
        """The objects whose keys begin with ``prefix``, a folder's name with a slash, or "" for all."""
        return self._patiently(prefix, lambda: self._below(prefix))

    def entries(self, prefix: str) -> tuple[list[ObjectInfo], list[str]]:
        """The objects right below a folder, and the names of the folders there."""
        return self._patiently(prefix, lambda: self._entries(prefix))

    def copy(self, pairs: Iterable[tuple[ObjectInfo, str]]) -> None:
        """Copies objects to other keys, inside the store."""

        def one(pair: tuple[ObjectInfo, str]) -> None:
            self._patiently(pair[1], lambda: self._copy(pair[0], pair[1]))

        for _ in self._in_parallel(one, pairs):
            pass

    def delete(self, keys: Iterable[str]) -> None:
        """Deletes objects; those that are gone are fine."""
        for _ in self._in_parallel(lambda key: self._patiently(key, lambda: self._delete(key)), keys):
            pass

    @abstractmethod
    def drop_uploads(self, prefix: str) -> None:
        """Frees what uploads of keys that begin with ``prefix`` have left that were cut off."""

    @abstractmethod
    def _read(self, key: str) -> bytes: ...

    @abstractmethod
    def _read_range(self, info: ObjectInfo, first: int, size: int) -> bytes: ...

    @abstractmethod
    def _write(self, key: str, content: bytes) -> None: ...

    @abstractmethod
    def _create(self, key: str, content: bytes) -> None: ...

    @abstractmethod
    def _upload(self, key: str, path: Path, create: bool) -> None: ...

    @abstractmethod
    def _info(self, key: str) -> ObjectInfo | None: ...

    @abstractmethod
    def _below(self, prefix: str) -> list[ObjectInfo]: ...

    @abstractmethod
    def _entries(self, prefix: str) -> tuple[list[ObjectInfo], list[str]]: ...

    @abstractmethod
    def _copy(self, source: ObjectInfo, target: str) -> None: ...

    @abstractmethod
    def _delete(self, key: str) -> None: ...

    @abstractmethod
    def _explain(self, error: Exception, key: str) -> OSError | None:
        """What an error of the store's library means; None for errors that are bugs."""

    def _put_file(self, key: str, path: Path, create: bool) -> None:
        try:
            self._upload(key, path, create)
        except FileExistsError:
            # The first try may have worked, and its answer been lost.
            info = self.info(key)
            if info is None or info.size != path.stat().st_size or self._sha256(info) != sha256_of(path):
                raise

    def _pieces(self, info: ObjectInfo) -> Iterator[bytes]:
        for first in range(0, info.size, PIECE_BYTES):
            size = min(PIECE_BYTES, info.size - first)
            yield self._patiently(info.key, partial(self._read_range, info, first, size))

    def _sha256(self, info: ObjectInfo) -> str:
        digest = hashlib.sha256()
        for piece in self._pieces(info):
            digest.update(piece)
        return digest.hexdigest()

    def _patiently(self, key: str, call: Callable[[], T]) -> T:
        """Calls until it works, fails for good, or has failed too often."""
        wait = FIRST_WAIT
        for number in range(1, TRIES + 1):
            try:
                result = call()
            except Exception as raised:
                error = self._explain(raised, key)
                if error is None:
                    raise
                if not isinstance(error, StoreError):
                    self._reached = True
                    raise error from raised
                self._reached |= error.answered
                if not error.transient or number == (TRIES if self._reached else TRIES_TO_REACH):
                    raise error from raised
                logger.log(
                    logging.INFO if number == 1 else logging.WARNING, "%s: %s; trying again", key or "bucket", error
                )
            else:
                self._reached = True
                return result
            time.sleep(random.uniform(wait / 2, wait))
            wait *= 2
        raise AssertionError("the last try returns or raises")

    @staticmethod
    def _in_parallel(call: Callable[..., T], items: Iterable[Any]) -> Iterator[T]:
        """Calls for each item, a few at a time, and gives the results in order."""
        with ThreadPoolExecutor(PARALLEL) as pool:
            yield from pool.map(call, items)
