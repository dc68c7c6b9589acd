"""Which parts a checkpoint consists of, and whether each is there to its last byte."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from recinfer.data.json_object import read_json_object
from recinfer.errors import ModelError
from recinfer.train.checkpoint_storage import read_index

META, PLAN = "meta.json", "plan"
TENSORS = ("model", "optimizer", "ema", "zch")
# The name in meta.json under which a checkpoint lists its parts.
PARTS = "parts"


def parts_of(folder: Path) -> list[str]:
    """The parts that lie in a checkpoint folder, for its ``meta.json`` to list."""
    return [name for name in (*TENSORS, PLAN) if (folder / name).exists()]


def flaw(checkpoint: Path) -> str | None:
    """What is missing of a checkpoint, whose copying or writing may have been cut off; None where nothing is.

    Ours lists its parts in ``meta.json``. One of TorchEasyRec has no list: what is there must be whole, and ``model``
    must be there.
    """
    try:
        meta = read_meta(checkpoint)
    except ModelError as error:
        return error.message
    listed = meta.get(PARTS, [])
    if not isinstance(listed, list) or any(name not in (*TENSORS, PLAN) for name in listed):
        return f"{checkpoint / META} lists parts that no checkpoint has"
    for name in sorted({"model", *parts_of(checkpoint), *listed}):
        reason = _plan_flaw(checkpoint / PLAN) if name == PLAN else tensors_flaw(checkpoint / name)
        if reason is not None:
            return reason
    return None


def tensors_flaw(folder: Path) -> str | None:
    """What is missing of a ``torch.distributed.checkpoint`` folder: its index, or bytes that it points to."""
    try:
        index = read_index(folder)
    except ModelError as error:
        return error.message
    ends: dict[str, int] = {}
    for place in index.storage_data.values():
        ends[place.relative_path] = max(ends.get(place.relative_path, 0), place.offset + place.length)
    for name, end in ends.items():
        path = folder / name
        if not path.is_file():
            return f"{path} is missing"
        if path.stat().st_size < end:
            return f"{path} ends after {path.stat().st_size} of {end} bytes"
    return None


def read_meta(checkpoint: Path) -> dict[str, Any]:
    """The content of ``meta.json``; empty for checkpoints of others, which have none.

    Raises:
        ModelError: it is damaged.
    """
    return read_json_object(checkpoint / META, "use an earlier checkpoint")


def discard(folder: Path) -> None:
    """Deletes a folder, if it is there; under another name, so that what a crash leaves of it is never picked."""
    if folder.exists():
        hidden = folder.with_name(f".{folder.name.lstrip('.')}.{os.getpid()}.deleted")
        if hidden.exists():
            shutil.rmtree(hidden)
        folder.rename(hidden)
        shutil.rmtree(hidden)


def _plan_flaw(path: Path) -> str | None:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return f"{path} is missing" if isinstance(error, FileNotFoundError) else f"{path} is damaged: {error}"
    return None
