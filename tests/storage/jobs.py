"""A copy job in a process of its own, which a test can kill.

Usage: python -m tests.storage.jobs SOURCE TARGET UNITS_BEFORE_DEATH ROWS_PER_UNIT
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from recinfer.data.table_copy import copy_table

ROOT = Path(__file__).resolve().parents[2]


def start(source: object, target: str, dies_after: int, target_rows: int) -> subprocess.Popen[bytes]:
    """Starts a job that dies by SIGKILL after so many units; 0 for one that lives."""
    command = [sys.executable, "-m", "tests.storage.jobs", str(source), target, str(dies_after), str(target_rows)]
    return subprocess.Popen(command, cwd=ROOT)


def main(source: str, target: str, dies_after: str, target_rows: str) -> None:
    done = []

    def count(unit: object) -> None:
        done.append(unit)
        if len(done) == int(dies_after):
            os.kill(os.getpid(), signal.SIGKILL)

    copy_table(source, target, target_rows=int(target_rows), on_unit=count)


if __name__ == "__main__":
    main(*sys.argv[1:])
