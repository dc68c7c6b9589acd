"""Reads the pickled index of a checkpoint without running what a stranger may have put into it.

``torch.distributed.checkpoint`` keeps names, shapes and file positions in a pickle, and a pickle is a program. This
unpickler knows the dozen classes that such an index is made of, and nothing else.
"""

from __future__ import annotations

import pickle
from pathlib import PurePath
from typing import Any, BinaryIO

import torch
from torch.distributed.checkpoint.metadata import Metadata

from recinfer.errors import ModelError

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
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo", "_StoragePrefix"},
    "torch.serialization": {"_get_layout"},
    "torch": {"Size"},
    "pathlib": {"PosixPath", "PurePosixPath", "PureWindowsPath", "WindowsPath"},
    "collections": {"OrderedDict"},
}
# Python 3.13 pickles paths by the name of the private module that holds their classes.
ALLOWED["pathlib._local"] = ALLOWED["pathlib"]


class MetadataUnpickler(pickle.Unpickler):
    """A pickle reader that resolves no names but those of a checkpoint index."""

    def find_class(self, module: str, name: str) -> Any:
        """The class of an allowed name; torch dtypes are values, and allowed too."""
        if module in ("pathlib", "pathlib._local") and name in ALLOWED["pathlib"]:
            return PurePath
        if name in ALLOWED.get(module, ()):
            return super().find_class(module, name)
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        raise pickle.UnpicklingError(f"it names {module}.{name}, which no checkpoint needs")

    def persistent_load(self, pid: Any) -> Any:
        """Refused: an index refers to nothing outside itself."""
        raise pickle.UnpicklingError("it refers to an object outside the file")


def read_metadata(stream: BinaryIO, source: str) -> Metadata:
    """The index of a checkpoint folder.

    Args:
        stream: the content of ``.metadata``.
        source: its path, for errors.

    Raises:
        ModelError: it is damaged, names something that no checkpoint needs, or points outside its folder.
    """
    again = "copy or write the checkpoint again"
    try:
        metadata = MetadataUnpickler(stream).load()
    except Exception as error:
        raise ModelError(f"{source} is not a checkpoint index: {error}", again) from error
    if not isinstance(metadata, Metadata) or not isinstance(metadata.state_dict_metadata, dict):
        raise ModelError(f"{source} is not a checkpoint index", again)
    for info in (metadata.storage_data or {}).values():
        path = PurePath(info.relative_path)
        if path.is_absolute() or ".." in path.parts:
            raise ModelError(f"{source} points outside its folder: {path}", "do not trust this checkpoint")
    return metadata
