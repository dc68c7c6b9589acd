"""Exports in object stores: copied once to this machine, checked, then opened like local ones."""

from __future__ import annotations

from pathlib import Path

from recinfer.data.storage.client import ObjectClient
from recinfer.data.storage.fetched import fetch
from recinfer.data.storage.remote_path import RemotePath
from recinfer.data.storage.transfer import files_below
from recinfer.predict.compiled_scorer import COMPILED
from recinfer.predict.export_scorer import SCRIPTED
from recinfer.predict.manifest import MANIFEST
from recinfer.predict.manifest_check import check_files

MARKS = (MANIFEST, SCRIPTED, COMPILED)


def is_remote_export(client: ObjectClient, place: RemotePath) -> bool:
    """Whether a folder of a store is meant to be an export, complete or not."""
    return any(client.info((place / name).key) is not None for name in MARKS)


def fetch_export(client: ObjectClient, place: RemotePath) -> Path:
    """A local copy of an export.

    Raises:
        ModelError: it is not what its ``recinfer.json`` says, as after an upload that was cut off.
        OSError: the store fails.
    """
    files = {f"{place.name}/{name}": info for name, info in files_below(client, place).items()}
    return fetch(client, place, files, lambda copy: _check(copy / place.name)) / place.name


def _check(folder: Path) -> None:
    check_files(folder)
