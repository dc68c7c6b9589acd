"""Writes an export folder: complete, checked, and only then under its name."""

from __future__ import annotations

import shutil
from pathlib import Path

from recinfer import interrupts
from recinfer.data.swap import exchange
from recinfer.errors import ModelError, OutputError
from recinfer.export import artifact
from recinfer.export.build import build_export
from recinfer.export.job import ExportJob
from recinfer.export.report import ExportReport
from recinfer.export.work_folder import work_folder
from recinfer.predict.manifest import read_manifest
from recinfer.predict.signature import SIGNATURE

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
        with work_folder(folder) as work:
            report = build_export(job, work)
            report.parity.check()
            interrupts.check()
            # Once more: making it took a while.
            _check_target(folder, overwrite)
            _swap(work, folder)
    except (FileExistsError, NotADirectoryError) as error:
        raise OutputError(
            f"{folder} cannot be made: {error.filename} is a file", "choose another --export_dir"
        ) from error
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written: {error.strerror or error}", "choose another --export_dir, or make room"
        ) from error
    return report


def _check_target(folder: Path, overwrite: bool) -> None:
    """Refuses a place that is taken, or that cannot be put another folder in the place of."""
    other = "choose another --export_dir"
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputError(f"{folder} is a file", other)
    within = f"{other}, such as a new folder in it"
    if folder.is_mount():
        raise OutputError(f"{folder} is where a file system is mounted, so no export can take its place", within)
    if folder == Path.cwd():
        raise OutputError(f"{folder} is the current folder, which an export would take the place of", within)
    if not any(folder.iterdir()):
        return
    is_export = any((folder / name).is_file() for name in artifact.MODELS)
    if not overwrite:
        hint = f"{other}, or give --overwrite" if is_export else other
        raise OutputError(f"{folder} exists and is not empty", hint)
    if not is_export:
        raise OutputError(f"{folder} is no export, so --overwrite does not replace it", other)
    _refuse_foreign(folder)


def _refuse_foreign(folder: Path) -> None:
    """Refuses to delete what the older export does not list; those of the reference and damaged ones list nothing."""
    try:
        listed = read_manifest(folder).get("sha256")
    except ModelError:
        return
    if listed is None:
        return
    known = {*listed, artifact.MANIFEST, SIGNATURE}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_dir() and name not in known:
            raise OutputError(
                f"{folder} holds {name}, which is no part of the export and would be lost",
                "move it away, or choose another --export_dir",
            )


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
