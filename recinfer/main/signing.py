"""Signs exports."""

from __future__ import annotations

from pathlib import Path

from recinfer.errors import ModelError, UsageError
from recinfer.main.config import PathLike


def sign(export_dir: PathLike, private_key: PathLike) -> Path:
    """Signs an export, so that :func:`load_scorer` with ``public_key`` takes it.

    Args:
        export_dir: an export, ours or the reference's.
        private_key: a PEM file without password, of curve P-256, P-384 or P-521.

    Returns:
        The signature's path: ``recinfer.sig`` in the folder.

    Raises:
        ModelError: the folder is no export, or its files are not those that were exported.
        UsageError: the key cannot be used, or ``model-signing`` is not installed.
    """
    from recinfer.data.storage.remote_path import is_remote
    from recinfer.predict import signature
    from recinfer.predict.manifest_check import check_files
    from recinfer.predict.open_export import is_export

    if is_remote(export_dir):
        raise UsageError(f"{export_dir} cannot be signed where it lies", "sign a local export, and copy it there")
    folder = Path(export_dir)
    if not is_export(folder):
        raise ModelError(f"{folder} is no export", "give the folder that recinfer-export wrote")
    check_files(folder)
    return signature.sign(folder, Path(private_key))
