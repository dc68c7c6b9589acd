"""Where an export grows: a hidden folder beside its place, which goes however the work ends.

A process that is killed cannot delete its folder, so the next export to the same place does: a folder that nobody
holds a lock on is nobody's.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# A folder is made before it is locked: a younger one may be just between.
YOUNG_SECONDS = 60.0


@contextmanager
def work_folder(place: Path) -> Iterator[Path]:
    """A new folder beside a place, deleted at the end if it is still there.

    Raises:
        OSError: it cannot be made.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    _sweep(place)
    folder = Path(tempfile.mkdtemp(prefix=_prefix(place), dir=place.parent))
    held = os.open(folder, os.O_RDONLY)
    try:
        # Without locks nobody sweeps here either.
        with suppress(OSError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    finally:
        # Renamed into place it is not here any more.
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _prefix(place: Path) -> str:
    return f".{place.name}.recinfer-"


def _sweep(place: Path) -> None:
    """Deletes what killed exports have left."""
    left = re.compile(re.escape(_prefix(place)) + r"\w{8}(-old)?")
    for folder in place.parent.iterdir():
        # One may be another user's, be swept by another export just now, or lie where there are no locks.
        with suppress(OSError):
            if left.fullmatch(folder.name) and time.time() - folder.lstat().st_mtime > YOUNG_SECONDS:
                _delete_unheld(folder)


def _delete_unheld(folder: Path) -> None:
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    finally:
        os.close(held)
