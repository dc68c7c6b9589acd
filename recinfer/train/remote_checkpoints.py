"""Checkpoints in object stores: which there are, a local copy of one, and how one is put there."""

from __future__ import annotations

import logging
from pathlib import Path

from recinfer.data.storage.client import ObjectClient
from recinfer.data.storage.clients import client_of
from recinfer.data.storage.fetched import fetch
from recinfer.data.storage.remote_path import RemotePath
from recinfer.data.storage.transfer import files_below, upload
from recinfer.train.checkpoint_parts import META, TENSORS, flaw
from recinfer.train.checkpoint_storage import INDEX

logger = logging.getLogger(__name__)

CONFIG = "pipeline.config"
FIRST_INDEX = f"model/{INDEX}"
# An upload that was cut off lacks the index of the model's tensors, or the list of parts: both are looked for.
LAST = (*(f"{part}/{INDEX}" for part in TENSORS if part != "model"), META, FIRST_INDEX)


def is_checkpoint(place: RemotePath) -> bool:
    """Whether a folder of a store is a checkpoint, and not a folder of checkpoints."""
    return client_of(place).info((place / FIRST_INDEX).key) is not None


def fetch_checkpoint(place: RemotePath) -> Path:
    """A local copy of a checkpoint, beside the pipeline config that lies in it or beside it.

    Raises:
        OSError: the store fails.
    """
    client = client_of(place)
    files = {f"{place.name}/{name}": info for name, info in files_below(client, place).items()}
    config = None if f"{place.name}/{CONFIG}" in files else client.info((place.parent / CONFIG).key)
    return fetch(client, place, files | ({CONFIG: config} if config else {})) / place.name


def fetch_newest(places: list[RemotePath]) -> Path | None:
    """A local copy of the last checkpoint that is complete, of those that are given oldest first; None without one."""
    for place in reversed(places):
        if not is_checkpoint(place):
            logger.warning("%s is incomplete, and passed over: it has no %s", place, FIRST_INDEX)
            continue
        folder = fetch_checkpoint(place)
        reason = flaw(folder)
        if reason is None:
            return folder
        logger.warning("%s is incomplete, and passed over: %s", place, reason)
    return None


def fetch_beside(model_dir: RemotePath, name: str) -> Path | None:
    """A local copy of a file in a model folder; None where there is none."""
    client = client_of(model_dir)
    info = client.info((model_dir / name).key)
    return fetch(client, model_dir, {name: info}) / name if info else None


def put_checkpoint(folder: Path, place: RemotePath) -> None:
    """Uploads a checkpoint, what makes it count last.

    Raises:
        OSError: the store does not take it.
    """
    upload(client_of(place), folder, place, LAST)


def delete_checkpoint(place: RemotePath) -> None:
    """Deletes a checkpoint, what makes it count first.

    Raises:
        OSError: the store does not do it.
    """
    client = client_of(place)
    files = files_below(client, place)
    for name in reversed(LAST):
        if name in files:
            client.delete([files[name].key])
    client.delete([info.key for name, info in files.items() if name not in LAST])


def folders(client: ObjectClient, model_dir: RemotePath) -> list[RemotePath]:
    """The folders right below a model folder."""
    prefix = f"{model_dir.key}/" if model_dir.key else ""
    _, names = client.entries(prefix)
    return [model_dir / name for name in names]
