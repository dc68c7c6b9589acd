"""What the pickled index of a checkpoint says, as inert records, and torch's own classes made from those.

A pickle may set attributes of the classes that it names, not only of its objects, and so change what they do in the
whole process. Hence it gets to see records, and what they hold is checked before the real classes are filled.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, TypeVar

import torch
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)

Item = TypeVar("Item")


class Record:
    """An object that a pickle describes: its class's name, the arguments it was made with, and its state."""

    # Names the class that a subclass stands for.
    name = ""

    def __new__(cls, *arguments: Any) -> Record:
        record = super().__new__(cls)
        record.arguments, record.state = arguments, None
        return record

    def __init__(self, *arguments: Any) -> None:
        self.arguments: tuple[Any, ...] = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


def to_metadata(found: Any) -> Metadata:
    """torch's index from its record; what a planner left in it, and where it was written, are dropped.

    Raises:
        ValueError: it is not the record of an index, or describes tensors or places that cannot be.
    """
    fields = _fields(found, "Metadata")
    entries = {_text(name): _entry(value) for name, value in _mapping(fields.get("state_dict_metadata")).items()}
    places = {_index(key): _place(value) for key, value in _mapping(fields.get("storage_data")).items()}
    for name, entry in entries.items():
        _check_covered(name, entry, places)
    version = fields.get("version")
    return Metadata(entries, storage_data=places, version=None if version is None else _text(version))


def _check_covered(name: str, entry: TensorStorageMetadata | BytesStorageMetadata, places: dict[Any, Any]) -> None:
    """Raises ValueError unless every element of an entry is somewhere: what is not would be left as it was."""
    if isinstance(entry, BytesStorageMetadata):
        if MetadataIndex(name) not in places:
            raise ValueError(f"{name} is nowhere")
        return
    stored = 0
    for chunk in entry.chunks:
        ends = [offset + size for offset, size in zip(chunk.offsets, chunk.sizes, strict=True)]
        if len(ends) != len(entry.size) or any(end > size for end, size in zip(ends, entry.size, strict=True)):
            raise ValueError(f"{name} has a part outside its shape {tuple(entry.size)}")
        elements = math.prod(chunk.sizes)
        if elements and MetadataIndex(name, chunk.offsets) not in places:
            raise ValueError(f"a part of {name} is nowhere")
        stored += elements
    if stored < math.prod(entry.size):
        raise ValueError(f"parts of {name} are missing: {stored} of {math.prod(entry.size)} elements are there")


def _entry(found: Any) -> TensorStorageMetadata | BytesStorageMetadata:
    if isinstance(found, Record) and found.name == "BytesStorageMetadata":
        return BytesStorageMetadata()
    fields = _fields(found, "TensorStorageMetadata")
    properties = fields.get("properties")
    state = properties.state if isinstance(properties, Record) and properties.name == "TensorProperties" else None
    if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[0], torch.dtype):
        raise ValueError("it has a tensor of no type")
    dtype, _, requires_grad, _, pin_memory = state
    return TensorStorageMetadata(
        TensorProperties(dtype, requires_grad=requires_grad is True, pin_memory=pin_memory is True),
        _sizes(fields.get("size")),
        _list(fields.get("chunks"), _chunk),
    )


def _chunk(found: Any) -> ChunkStorageMetadata:
    fields = _fields(found, "ChunkStorageMetadata")
    return ChunkStorageMetadata(_sizes(fields.get("offsets")), _sizes(fields.get("sizes")))


def _index(found: Any) -> MetadataIndex:
    fields = _fields(found, "MetadataIndex")
    offset, index = fields.get("offset"), fields.get("index")
    return MetadataIndex(
        _text(fields.get("fqn")),
        None if offset is None else _sizes(offset),
        None if index is None else _count(index),
    )


def _place(found: Any) -> _StorageInfo:
    fields = _fields(found, "_StorageInfo")
    path = _text(fields.get("relative_path"))
    for pure in (PurePosixPath(path), PureWindowsPath(path)):
        if pure.is_absolute() or ".." in pure.parts or "\0" in path:
            raise ValueError(f"it points outside its folder: {path!r}")
    transforms = fields.get("transform_descriptors")
    return _StorageInfo(
        path,
        _count(fields.get("offset")),
        _count(fields.get("length")),
        None if transforms is None else _list(transforms, _text),
    )


def _fields(found: Any, name: str) -> dict[str, Any]:
    """The attributes of the record of a dataclass."""
    if not isinstance(found, Record) or found.name != name:
        raise ValueError(f"there is no {name} where one should be")
    return _mapping({} if found.state is None else found.state)


def _mapping(found: Any) -> dict[Any, Any]:
    if not isinstance(found, dict):
        raise ValueError("there is no table where one should be")
    return found


def _list(found: Any, of: Callable[[Any], Item]) -> list[Item]:
    if not isinstance(found, list | tuple):
        raise ValueError("there is no list where one should be")
    return [of(each) for each in found]


def _sizes(found: Any) -> torch.Size:
    if isinstance(found, Record) and found.name == "Size" and len(found.arguments) == 1:
        return torch.Size(_list(found.arguments[0], _count))
    raise ValueError("there is no shape where one should be")


def _count(found: Any) -> int:
    if type(found) is not int or not 0 <= found < 1 << 63:
        raise ValueError(f"{found!r} is no count")
    return found


def _text(found: Any) -> str:
    if not isinstance(found, str):
        raise ValueError("there is no name where one should be")
    return found
