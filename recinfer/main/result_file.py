"""Where metrics are written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from recinfer.errors import OutputError

if TYPE_CHECKING:
    from recinfer.data.storage.remote_path import RemotePath

DEFAULT = "eval_result.json"


def result_file(wanted: str | os.PathLike[str] | None, model_dir: str) -> Path | RemotePath:
    """The file for the metrics of an evaluation; looked at before they are measured, which may take hours.

    Args:
        wanted: a path; a bare name lies in the model folder, as in TorchEasyRec. None for ``eval_result.json``.

    Raises:
        UsageError: a URI is no good.
        OutputError: no file can be written there.
    """
    from recinfer.data.storage.remote_path import is_remote, parse_remote

    if is_remote(wanted):
        return parse_remote(str(wanted))
    target = Path(wanted or DEFAULT)
    if target.parent == Path(".") and is_remote(model_dir):
        return parse_remote(model_dir) / target.name
    if target.parent == Path("."):
        target = Path(model_dir) / target
    near = next(folder for folder in target.absolute().parents if folder.exists())
    if target.is_dir() or not near.is_dir() or not os.access(target if target.exists() else near, os.W_OK):
        raise OutputError(f"the metrics cannot be written to {target}", "name a file in a folder that can be written")
    return target
