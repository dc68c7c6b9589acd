"""Names of folders and files in object stores: ``s3://bucket/folder/file``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from recinfer.errors import UsageError

# What may follow a "?" in a URI; a glob's "?" is followed by anything else.
QUERY = re.compile(r"\w+=[^=&*?\[,]+(&\w+=[^=&*?\[,]+)*")
S3_OPTIONS = ("endpoint_override", "region", "scheme")


@dataclass(frozen=True)
class RemotePath:
    """A place in a store; it follows :class:`pathlib.Path` in its names.

    Attributes:
        scheme: ``s3``, ``gs`` ...
        bucket: the bucket, or the host of a file system.
        key: what follows, without slashes at its ends.
        query: how the store is reached, as the user wrote it after "?".
    """

    scheme: str
    bucket: str
    key: str
    query: str = ""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.key}" + (f"?{self.query}" if self.query else "")

    def __truediv__(self, name: str) -> RemotePath:
        return replace(self, key=f"{self.key}/{name}" if self.key else name)

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> RemotePath:
        return replace(self, key=self.key.rpartition("/")[0])

    @property
    def parents(self) -> Iterator[RemotePath]:
        """The folders around it, the nearest first, the bucket last."""
        place = self
        while place.key:
            place = place.parent
            yield place

    def with_name(self, name: str) -> RemotePath:
        """A place beside this one."""
        return self.parent / name

    @property
    def options(self) -> dict[str, str]:
        """The query, by name."""
        return dict(parse_qsl(self.query))


def is_remote(path: object) -> bool:
    """Whether a path names a place in a store: a URI that is not of a local file."""
    scheme, separator, _ = str(path).partition("://")
    return bool(separator) and scheme != "file" and "/" not in scheme


def parse_remote(uri: str) -> RemotePath:
    """Takes a URI apart.

    Raises:
        UsageError: it has no bucket, holds credentials, or options that the scheme does not know.
    """
    scheme, _, rest = uri.partition("://")
    rest, query = split_query(rest)
    bucket, _, key = rest.partition("/")
    if not bucket and scheme != "hdfs":
        raise UsageError(f"{uri} names no bucket", f"write {scheme}://bucket/folder")
    if "@" in bucket:
        shown = f"{scheme}://...@{bucket.rpartition('@')[2]}/{key}"
        raise UsageError(
            f"{shown} holds credentials, which would end up in plans and logs",
            "give them in the variables or files that the store's own tools read, such as AWS_ACCESS_KEY_ID",
        )
    path = RemotePath(scheme.lower(), bucket, re.sub("/+", "/", key).strip("/"), query)
    known = S3_OPTIONS if path.scheme == "s3" else ()
    for name in path.options:
        if name not in known:
            raise UsageError(
                f"{scheme}://{bucket}: the option {name!r} is not known",
                f"known are {', '.join(known)}" if known else f"{scheme}:// takes no options",
            )
    return path


def split_query(text: str) -> tuple[str, str]:
    """A URI's path and its options; what follows a "?" that is a wildcard belongs to the path."""
    head, mark, tail = text.rpartition("?")
    return (head, tail) if mark and QUERY.fullmatch(tail) else (text, "")


def without_query(path: str) -> str:
    """A path or URI up to its options, so that its suffix can be seen."""
    return split_query(path)[0] if is_remote(path) else path
