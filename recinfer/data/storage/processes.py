"""Whether a process of this machine, known by its number, still runs."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def machine_name() -> str:
    """Differs where process numbers mean other processes: machines, their restarts, containers."""
    parts = [socket.gethostname()]
    for path in (Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")):
        if path.exists():
            parts.append(os.readlink(path) if path.is_symlink() else path.read_text().strip())
    return " ".join(parts)


def process_is_gone(note: Mapping[str, Any]) -> bool:
    """Whether the process with this ``machine`` and ``pid`` is known to have ended; False where that cannot be seen."""
    pid = note.get("pid")
    if note.get("machine") != machine_name() or not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """A process that was killed and whose parent has not asked for it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False
