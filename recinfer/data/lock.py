"""One job per output folder: an advisory lock that the system releases when the job ends, however it ends."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from pathlib import Path

from recinfer.errors import OutputError

BUSY = frozenset({errno.EAGAIN, errno.EACCES})


class FolderLock:
    """Holds ``path`` until :meth:`release` or the end of the process (SIGKILL too). Never waits.

    Raises:
        OutputError: another job holds it; names that job.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A job that swapped folders in between has moved the file that we hold: it no longer locks this folder.
            moved = os.fstat(self._handle).st_ino != os.stat(path).st_ino
        except OSError as error:
            os.close(self._handle)
            if error.errno in BUSY or isinstance(error, FileNotFoundError):
                raise OutputError(
                    f"{folder} is in use by another job ({_holder(path)})", "wait for it to end, or stop it"
                ) from error
            raise
        if moved:
            os.close(self._handle)
            raise OutputError(f"{folder} was replaced by another job just now", "run the command again")
        self._tell()

    def release(self) -> None:
        """Gives the folder back; safe to call twice."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _tell(self) -> None:
        """Leaves a note for others; without one the lock still holds."""
        note = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, json.dumps(note).encode(), 0)


class MemberLock:
    """Shared by the processes that work at a folder which another one holds with a :class:`FolderLock`.

    It outlives that one: a new job must not begin before the last of them has ended.
    """

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(self._handle, fcntl.LOCK_SH)

    def release(self) -> None:
        """Leaves; safe to call twice."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def check_no_members(path: Path, folder: Path) -> None:
    """Raises OutputError while a process holds the :class:`MemberLock` of a folder."""
    try:
        handle = os.open(path, os.O_RDWR)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in BUSY:
            raise OutputError(
                f"{folder} is in use: processes of the last job on it are about to end", "run the command again"
            ) from error
        raise
    finally:
        os.close(handle)


def _holder(path: Path) -> str:
    try:
        note = json.loads(path.read_text())
        return f"pid {note['pid']} on {note['host']}, since {note['since']}"
    except (OSError, ValueError, KeyError):
        return "it has left no name yet"
