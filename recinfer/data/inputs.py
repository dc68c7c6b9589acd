"""From what the user typed (file, folder, glob, comma list, URI) to a sorted list of input files."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.fs as pafs

from recinfer.data.storage.input_filesystem import filesystem_of, store_hint, to_uri
from recinfer.data.storage.remote_path import is_remote, parse_remote, split_query
from recinfer.errors import InputError

MAGIC = frozenset("*?[")


@dataclass(frozen=True)
class InputFile:
    """One input file and what tells that it has not changed.

    Attributes:
        path: absolute local path, or URI.
        size: bytes.
        mtime_ns: time of the last change in nanoseconds since 1970; 0 where the store keeps none.
    """

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class PlannedTable:
    """An input table as a plan describes it: a process that is given one lists nothing itself."""

    files: list[InputFile]
    folders: list[str]
    schema: pa.Schema


def list_inputs(spec: str) -> list[InputFile]:
    """Lists the files that ``spec`` names, sorted by path, each once.

    ``spec`` is a file, a folder (searched recursively), a glob (``*``, ``?``, ``[...]``, ``**``), a URI of one of
    these, or several of them with commas between. Names that begin with ``_`` or ``.`` are skipped, unless the user
    named the file.

    Raises:
        InputError: something that was named does not exist, or nothing is left.
    """
    found: dict[str, InputFile] = {}
    for item in split_spec(spec):
        for file in _expand(item):
            found[file.path] = file
    if not found:
        raise InputError(
            f"no input files in {spec!r}", "name a file, a folder that holds files, a glob or a comma list"
        )
    return [found[path] for path in sorted(found)]


def split_spec(spec: str) -> list[str]:
    """Cuts a comma list; a path that exists as it stands is never cut."""
    items = [item.strip() for item in spec.split(",") if item.strip()]
    if len(items) < 2 or any("://" in item for item in items[1:]) or _info(spec).type == pafs.FileType.NotFound:
        return items
    return [spec]


def input_folders(spec: str) -> list[str]:
    """Absolute paths and URIs of the folders whose whole content is input: an output must not lie inside them."""
    folders: set[str] = set()
    for item in split_spec(spec):
        for path in [item] if not _is_glob(item) else _glob(item):
            info = _info(path)
            if info.type == pafs.FileType.Directory:
                folders.add(_full_path(path, info.path) if is_remote(path) else os.path.realpath(info.path))
    return sorted(folders)


def check_unchanged(file: InputFile) -> None:
    """Compares a file with what the plan saw.

    Raises:
        InputError: it is gone, or its size or time of change differ.
    """
    info = _info(file.path)
    if info.type != pafs.FileType.File:
        raise InputError(
            f"{file.path}: the file is gone: the input changed since the plan",
            "put it back, or start again with --overwrite",
        )
    if (info.size, info.mtime_ns or 0) != (file.size, file.mtime_ns):
        raise InputError(
            f"{file.path}: the input changed since the plan ({change_of_size(file.size, info.size)})",
            "start again with --overwrite",
        )


def change_of_size(before: int, after: int) -> str:
    """How a file that is not what it was differs, as far as its size says."""
    return f"{before:,} bytes, now {after:,}" if before != after else "written anew, as large as before"


def _expand(item: str) -> Iterator[InputFile]:
    if _is_glob(item):
        matches = _glob(item)
        if not matches:
            raise InputError(
                f"no input matches {item!r}", "check the pattern; quote it so that the shell leaves it alone"
            )
        for path in matches:
            yield from _files_of(path)
        return
    yield from _files_of(item)


def _files_of(path: str) -> Iterator[InputFile]:
    info = _info(path)
    if info.type == pafs.FileType.NotFound:
        raise InputError(
            f"input {path!r} does not exist",
            "check the bucket and the path in it" if is_remote(path) else "check the path",
        )
    if info.type != pafs.FileType.Directory:
        yield _input_file(path, info)
        return
    for child in _children(path, recursive=True):
        if child.type == pafs.FileType.File:
            yield _input_file(path, child)


def _children(path: str, recursive: bool) -> list[pafs.FileInfo]:
    """What a folder holds, less everything whose name, or whose folder's name, begins with ``_`` or ``.``."""
    filesystem, inner = filesystem_of(path)
    base = inner.rstrip("/") + "/"
    try:
        infos = filesystem.get_file_info(pafs.FileSelector(inner, recursive=recursive))
    except OSError as error:
        raise InputError(f"cannot list {path}: {error}", store_hint(error)) from error
    return [info for info in infos if not any(_hidden(part) for part in info.path.removeprefix(base).split("/"))]


def _glob(pattern: str) -> list[str]:
    """Paths that match, one path segment at a time, so that only the folders that the pattern reaches are listed."""
    plain, query = split_query(pattern) if is_remote(pattern) else (pattern, "")
    prefix, _, rest = plain.rpartition("://")
    scheme = f"{prefix}://" if prefix else ""
    segments = (rest if prefix else os.path.abspath(os.path.expanduser(plain))).split("/")
    first = next(i for i, segment in enumerate(segments) if MAGIC & set(segment))
    paths = [scheme + ("/".join(segments[:first]) or "/") + (f"?{query}" if query else "")]
    for position in range(first, len(segments)):
        last = position == len(segments) - 1
        paths = [match for path in paths for match in _match_segment(path, segments[position], last)]
    return sorted(set(paths))


def _match_segment(path: str, segment: str, last: bool) -> Iterator[str]:
    if not MAGIC & set(segment):
        child = str(parse_remote(path) / segment) if is_remote(path) else f"{path.rstrip('/')}/{segment}"
        if _info(child).type != pafs.FileType.NotFound:
            yield child
        return
    if _info(path).type != pafs.FileType.Directory:
        return
    deep = segment == "**"
    if deep and not last:
        yield path
    for info in _children(path, recursive=deep):
        wanted = (
            info.type == (pafs.FileType.File if last else pafs.FileType.Directory)
            if deep
            else fnmatch.fnmatchcase(info.base_name, segment)
        )
        if wanted:
            yield _full_path(path, info.path)


def _info(path: str) -> pafs.FileInfo:
    filesystem, inner = filesystem_of(path)
    try:
        return filesystem.get_file_info(inner)
    except OSError as error:
        raise InputError(f"cannot look at {path}: {error}", store_hint(error)) from error


def _input_file(named: str, info: pafs.FileInfo) -> InputFile:
    return InputFile(_full_path(named, info.path), info.size or 0, info.mtime_ns or 0)


def _full_path(named: str, inner: str) -> str:
    """The path as the plan keeps it: absolute where local, with the scheme in front where remote."""
    return to_uri(parse_remote(named), inner) if is_remote(named) else os.path.abspath(inner)


def _is_glob(item: str) -> bool:
    if is_remote(item):
        return bool(MAGIC & set(split_query(item)[0]))
    return bool(MAGIC & set(item)) and not os.path.exists(item)


def _hidden(name: str) -> bool:
    return name.startswith(("_", "."))
