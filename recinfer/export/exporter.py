"""Writes an export folder: complete, checked, and only then under its name."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from recinfer.data.swap import exchange
from recinfer.errors import OutputError
from recinfer.export import artifact
from recinfer.export.build import build_export
from recinfer.export.job import ExportJob
from recinfer.export.report import ExportReport

__all__ = ["ExportJob", "write_export"]


def write_export(job: ExportJob, folder: Path, *, overwrite: bool = False) -> ExportReport:
    """Exports a model.

    Args:
        folder: must not exist, or be empty, unless ``overwrite``.

    Raises:
        OutputError: the folder holds something, or cannot be written.
        ParityError: the export's scores stray from the model's; nothing is left behind.
    """
    # `new/../old` is `old`, which is there once `new` is made.
    folder = folder.resolve()
    _check_target(folder, overwrite)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}", "choose another --export_dir") from error
    try:
        report = build_export(job, work)
        report.parity.check()
        # Once more: making it took a while.
        _check_target(folder, overwrite)
        _swap(work, folder)
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written: {error}", "choose another --export_dir, or make room"
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return report


def _check_target(folder: Path, overwrite: bool) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not overwrite:
        raise OutputError(f"{folder} exists and is not empty", "choose another --export_dir, or give --overwrite")
    if not any((folder / name).is_file() for name in artifact.MODELS):
        raise OutputError(f"{folder} is no export, so --overwrite does not replace it", "choose another --export_dir")


def _swap(work: Path, folder: Path) -> None:
    """Puts the finished folder under its name; an older export goes only when the new one is in place."""
    work.chmod(0o755)
    if not folder.exists():
        work.rename(folder)
    elif not exchange(work, folder):
        old = work.with_name(f"{work.name}-old")
        folder.rename(old)
        work.rename(folder)
        shutil.rmtree(old)
