"""Models and configs that lie in object stores, as local copies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recinfer.errors import ModelError
from recinfer.main.config import PathLike


def local_model(path: PathLike) -> Path:
    """What a user names as a model, as a local path: itself, or the copy of an export, checkpoint or weights file.

    Raises:
        ModelError: the store has nothing there, fails, or what it has is incomplete.
    """
    from recinfer.data.storage.remote_path import is_remote, parse_remote

    if not is_remote(path):
        return Path(path)
    from recinfer.data.storage.clients import client_of
    from recinfer.data.storage.fetched import local_file
    from recinfer.predict.remote_export import fetch_export, is_remote_export
    from recinfer.train.checkpoint_folders import find_checkpoint

    place = parse_remote(str(path))
    with reading(path):
        client = client_of(place)
        if is_remote_export(client, place):
            return fetch_export(client, place)
        if client.info(place.key) is not None:
            return local_file(str(path))
    return find_checkpoint(str(path))


@contextmanager
def reading(path: PathLike) -> Iterator[None]:
    """Turns a store's errors into a ModelError that names the path."""
    try:
        yield
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error}", getattr(error, "hint", None)) from error
