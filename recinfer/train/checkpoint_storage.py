"""Reading and writing ``torch.distributed.checkpoint`` folders, in a process group or without one."""

from __future__ import annotations

import io
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint import DefaultLoadPlanner, FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta, TensorStorageMetadata
from torch.distributed.checkpoint.planner import ReadItem

from recinfer.data.files import sync_folder
from recinfer.distributed.team import Team
from recinfer.errors import ModelError, OutputError
from recinfer.train.metadata_unpickler import read_metadata

INDEX = ".metadata"


class SafeReader(FileSystemReader):
    """A reader whose index is read by :mod:`recinfer.train.metadata_unpickler`."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """The folder's index."""
        metadata = read_index(Path(self.path))
        if metadata.storage_meta is None:
            metadata.storage_meta = StorageMeta()
        metadata.storage_meta.load_id = self.load_id
        return metadata


class TensorsOnly(DefaultLoadPlanner):
    """A planner that reads entries which are no tensors with torch's restricted unpickler."""

    def load_bytes(self, read_item: ReadItem, value: io.BytesIO) -> None:
        """Puts a plain value into the state dict."""
        self.original_state_dict[read_item.dest_index.fqn] = torch.load(value, weights_only=True)


def read_index(folder: Path) -> Metadata:
    """The index of a checkpoint folder: names, shapes, file positions.

    Raises:
        ModelError: there is none, or it cannot be trusted.
    """
    path = folder / INDEX
    try:
        with path.open("rb") as stream:
            return read_metadata(stream, str(path))
    except OSError as error:
        raise ModelError(f"{folder} is not a checkpoint folder: {error}") from error


def read_tensors(folder: Path, state: dict[str, Any]) -> None:
    """Fills the tensors of ``state`` in place from a folder that holds all of its names in their shapes.

    Raises:
        ModelError: a file is damaged or missing.
    """
    try:
        with _alone():
            dcp.load(state, storage_reader=SafeReader(folder), planner=TensorsOnly(), no_dist=True)
    except ModelError:
        raise
    except (Exception, CheckpointException) as error:
        raise ModelError(
            f"the checkpoint {folder} cannot be read: {_reason(error)}",
            "copy the folder again, or use an earlier checkpoint",
        ) from error


def read_all(folder: Path, names: Collection[str] | None = None) -> dict[str, torch.Tensor]:
    """All tensors of a folder, or those of some names, new in memory.

    Raises:
        ModelError: a file is damaged or missing.
    """
    state = {
        name: torch.empty(stored.size, dtype=stored.properties.dtype)
        for name, stored in read_index(folder).state_dict_metadata.items()
        if isinstance(stored, TensorStorageMetadata) and (names is None or name in names)
    }
    read_tensors(folder, state)
    return state


def write_tensors(folder: Path, state: dict[str, Any], team: Team | None = None) -> None:
    """Writes a flat dict of tensors to a new folder, flushed to the disk.

    Args:
        folder: one that all ranks see.
        state: of this rank; what several ranks hold is written once.
        team: the ranks that write together; None for one.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        alone = team is None or team.size == 1
        folder.mkdir(parents=True, exist_ok=not alone)
        with _alone():
            dcp.save(
                state,
                storage_writer=FileSystemWriter(folder, sync_files=True),
                process_group=None if team is None or alone else team.group,
                no_dist=alone,
            )
        sync_folder(folder)
    except (Exception, CheckpointException) as error:
        reason = _reason(error)
        raise OutputError(f"the checkpoint {folder} cannot be written: {reason}", "choose another model_dir") from error


def _reason(error: BaseException) -> str:
    """The first line of what went wrong; torch wraps the errors of its ranks."""
    failures = error.failures.values() if isinstance(error, CheckpointException) else ()
    inner = next((failure[0] for failure in failures), error)
    return str(inner).strip().split("\n")[0] or type(inner).__name__


@contextmanager
def _alone() -> Iterator[None]:
    """Hides torch's remark that saving or loading without a process group must be meant for one process: it is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        warnings.filterwarnings("ignore", category=FutureWarning, message=".*ShardedTensor")
        warnings.filterwarnings("ignore", message="TypedStorage is deprecated")
        yield
