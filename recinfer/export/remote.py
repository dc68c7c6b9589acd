"""Puts a finished export into an object store.

Its programs come last, after the ``recinfer.json`` that lists the SHA-256 of every file. So an upload that was cut off
is either no export or one that is refused, and never one of the reference's kind, which have no such list.
"""

from __future__ import annotations

from pathlib import Path

from recinfer.data.files import output_errors
from recinfer.data.storage.client import ObjectClient
from recinfer.data.storage.clients import client_of
from recinfer.data.storage.object_swap import remove_all
from recinfer.data.storage.remote_path import RemotePath
from recinfer.data.storage.transfer import files_below, upload
from recinfer.data.swap import build_folder
from recinfer.errors import OutputError
from recinfer.export.artifact import MANIFEST, MODELS

LAST = (MANIFEST, *MODELS)


def check_target(place: RemotePath, overwrite: bool) -> None:
    """Refuses a place that holds something, before hours of work.

    Raises:
        OutputError: it is not empty, and not an export that is to be overwritten; or the store fails.
    """
    with output_errors(place):
        if not place.key:
            raise OutputError(f"{place} is a whole bucket", "name a folder in it")
        held = files_below(client_of(place), place)
    if not held:
        return
    if not overwrite:
        raise OutputError(f"{place} exists and is not empty", "choose another --export_dir, or give --overwrite")
    if not held.keys() & set(MODELS):
        raise OutputError(f"{place} is no export, so --overwrite does not replace it", "choose another --export_dir")


def put_export(folder: Path, place: RemotePath) -> None:
    """Uploads an export. One that is there already stays whole until the new one lies beside it, whole too.

    Raises:
        OutputError: the store does not take it.
    """
    with output_errors(place):
        client = client_of(place)
        if not files_below(client, place):
            upload(client, folder, place, LAST)
            return
        build = build_folder(place)
        remove_all(client, build)
        upload(client, folder, build, LAST)
        _copy_over(client, build, place)
        remove_all(client, build)


def _copy_over(client: ObjectClient, build: RemotePath, place: RemotePath) -> None:
    """Copies inside the store; the old export is refused from the first file on, the new one taken from the last on."""
    fresh, old = files_below(client, build), files_below(client, place)
    client.delete([(place / name).key for name in MODELS if name in old])
    client.copy([(info, (place / name).key) for name, info in fresh.items() if name not in LAST])
    client.delete([info.key for name, info in old.items() if name not in fresh and name not in MODELS])
    for name in LAST:
        if name in fresh:
            client.copy([(fresh[name], (place / name).key)])
