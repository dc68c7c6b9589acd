"""The peak of memory is the process's own, not that of whoever started it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from recinfer.predict.memory import peak_memory_bytes

CHILD = """
from recinfer.predict.memory import peak_memory_bytes

before = peak_memory_bytes()
held = bytearray(200 << 20)
print(before, peak_memory_bytes())
"""


def test_counts_from_the_process_s_own_start(tmp_path: Path) -> None:
    large = bytearray(300 << 20)
    large[::4096] = b"x" * len(large[::4096])
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert before < 150 << 20 and 195 << 20 < after - before < 260 << 20
    assert peak_memory_bytes() > 300 << 20 and peak_memory_bytes(tmp_path / "none") > 300 << 20
