"""Reads the pickled index of a checkpoint without running what a stranger may have put into it.

``torch.distributed.checkpoint`` keeps names, shapes and file positions in a pickle, and a pickle is a program. This
unpickler knows the dozen classes that such an index is made of, and nothing else; and even for those it makes records
(:mod:`recinfer.train.metadata_records`), so that none of them is called or changed.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from typing import Any, BinaryIO

import torch
from torch.distributed.checkpoint.metadata import Metadata

from recinfer.errors import ModelError
from recinfer.train.metadata_records import Record, to_metadata

PATHS = {"PosixPath", "PurePosixPath", "PureWindowsPath", "WindowsPath"}
ENUMERATIONS = {"_MEM_FORMAT_ENCODING"}
ALLOWED = {
    "torch.distributed.checkpoint.metadata": {
        "BytesStorageMetadata",
        "ChunkStorageMetadata",
        "Metadata",
        "MetadataIndex",
        "StorageMeta",
        "TensorProperties",
        "TensorStorageMetadata",
        "_MEM_FORMAT_ENCODING",
    },
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo"},
    "torch.serialization": {"_get_layout"},
    "torch": {"Size"},
    "pathlib": PATHS,
    # Python 3.13 pickles paths by the name of the private module that holds their classes.
    "pathlib._local": PATHS,
}


class MetadataUnpickler(pickle.Unpickler):
    """A pickle reader that resolves no names but those of a checkpoint index, and those to records."""

    def find_class(self, module: str, name: str) -> Any:
        """A class of records for an allowed name; torch dtypes and ordered dicts are what they are.

        It is a new class each time, so that what a pickle does to it is gone with the pickle.
        """
        if name in ALLOWED.get(module, ()):
            return type(name, (Record,), {"name": name})
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("builtins", "getattr"):
            return _member
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        raise pickle.UnpicklingError(f"it names {module}.{name}, which no checkpoint needs")

    def persistent_load(self, pid: Any) -> Any:
        """Refused: an index refers to nothing outside itself."""
        raise pickle.UnpicklingError("it refers to an object outside the file")


def _member(kind: Any, name: Any) -> Record:
    """A member of an enumeration, as early versions of Python 3.11 pickle it: ``getattr(class, name)``, and no more."""
    if not (isinstance(kind, type) and issubclass(kind, Record) and kind.name in ENUMERATIONS and type(name) is str):
        raise pickle.UnpicklingError("it names builtins.getattr, which no checkpoint needs but for memory formats")
    return kind(name)


def read_metadata(stream: BinaryIO, source: str) -> Metadata:
    """The index of a checkpoint folder.

    Args:
        stream: the content of ``.metadata``.
        source: its path, for errors.

    Raises:
        ModelError: it is damaged, names something that no checkpoint needs, lacks a part of a tensor, or points
            outside its folder.
    """
    try:
        return to_metadata(MetadataUnpickler(stream).load())
    # Bytes that are no pickle of an index can raise anything.
    except Exception as error:
        raise ModelError(
            f"{source} is not a checkpoint index: {error}",
            "copy or write the checkpoint again, if you trust its source",
        ) from error
