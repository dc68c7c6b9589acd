"""The largest memory that this process has taken."""

from __future__ import annotations

import resource
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_memory_bytes(status: Path = STATUS) -> int:
    """Largest resident size so far.

    ``getrusage`` also counts what the parent had when it started this process, which may be far more.

    Args:
        status: what the kernel says of the process; another system has none.
    """
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
