"""Replaces a finished output folder by another in one step, and ends such a swap where a crash cut it short.

The new output is built in ``<out>.recinfer-new``. When it is complete, a mark is written into it, and both folders
change places (``renameat2`` with RENAME_EXCHANGE); where the file system cannot do that, the old one steps aside as
``<out>.recinfer-old`` first. Only then is the old output deleted, and the mark after it. So whoever finds the mark
knows what is left to do: see :func:`is_cut_between_renames` and :func:`clean_up`.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import shutil
from pathlib import Path

from recinfer.data.files import sync_folder, write_json
from recinfer.data.layout import Layout, P

logger = logging.getLogger(__name__)

AT_FDCWD = -100
RENAME_EXCHANGE = 2
CANNOT_EXCHANGE = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})


def build_folder(target: P) -> P:
    """Where the new output of ``--overwrite`` grows."""
    return target.with_name(f"{target.name}.recinfer-new")


def old_folder(target: Path) -> Path:
    """Where the old output waits for its end, on file systems without exchange."""
    return target.with_name(f"{target.name}.recinfer-old")


def swap_into_place(target: Path) -> None:
    """Puts the finished build in the place of ``target``, then deletes the old output."""
    build = build_folder(target)
    write_json(Layout(build).swap, {"replaces": str(target)})
    if not target.exists():
        os.rename(build, target)
    elif not exchange(build, target):
        os.rename(target, old_folder(target))
        os.rename(build, target)
    sync_folder(target.parent)
    clean_up(target)


def is_cut_between_renames(target: Path) -> bool:
    """Whether a job was stopped after the old output had stepped aside, so that nothing is at ``target``."""
    build = Layout(build_folder(target))
    return not target.exists() and build.swap.exists() and build.success.exists()


def end_cut_swap(target: Path) -> None:
    """Puts the finished build in place after :func:`is_cut_between_renames`. Call it with the build's lock held."""
    os.rename(build_folder(target), target)
    sync_folder(target.parent)


def clean_up(target: Path) -> bool:
    """Deletes the old output after a swap; True where there was a swap to clean up after."""
    mark = Layout(target).swap
    if not mark.exists():
        return False
    try:
        for folder in (build_folder(target), old_folder(target)):
            if folder.exists():
                shutil.rmtree(folder)
        mark.unlink()
        sync_folder(mark.parent)
    except OSError as error:
        # The new output is complete and in place; the next job on this folder tries again.
        logger.warning("could not delete the old output beside %s: %s", target, error)
    return True


def exchange(first: Path, second: Path) -> bool:
    """Lets two folders change names in one step; False where the system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    if renameat2(AT_FDCWD, os.fsencode(first), AT_FDCWD, os.fsencode(second), RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in CANNOT_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(first), None, str(second))
