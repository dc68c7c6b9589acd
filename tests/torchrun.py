"""Starts commands under ``torchrun``, as users do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def free_port() -> int:
    """A port that nobody listens to."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def command(size: int, *arguments: str | Path) -> list[str]:
    """``torchrun --nproc-per-node SIZE -m ARGUMENTS``, one thread each."""
    launch = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={size}"]
    return ["env", "OMP_NUM_THREADS=1", *launch, f"--master-port={free_port()}", "-m", *map(str, arguments)]


def torchrun(size: int, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, or the test fails."""
    return subprocess.run(command(size, *arguments), cwd=ROOT, capture_output=True, text=True, timeout=120)


def kill_rank(launcher: int, rank: int, sign: signal.Signals = signal.SIGKILL) -> int:
    """Sends a signal to a rank that a torchrun process has started; its process number."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        for child in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split():
            variables = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
            if f"RANK={rank}".encode() in variables:
                os.kill(int(child), sign)
                return int(child)
        time.sleep(0.1)
    raise TimeoutError(f"torchrun has no rank {rank}")
