"""What the benchmarks share: timed steps in threads, subprocesses with fixed threads, medians, tables, the machine."""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

# Does some work and says how many rows it was.
Step = Callable[[], int]


@dataclass(frozen=True)
class Spent:
    """Seconds that one thread spends on a row: by the clock, and of the processor's time (less on a busy machine)."""

    wall: float
    cpu: float


def seconds_per_row(make: Callable[[], Step], seconds: float, threads: int = 1, warm_up: int = 3) -> Spent:
    """Time that one thread spends on a row, while ``threads`` threads do the same side by side.

    Args:
        make: gives each thread a step of its own.
        seconds: to measure for; a warm-up comes on top.
        warm_up: steps of each thread that do not count.
    """
    steps = [make() for _ in range(threads)]
    barrier = threading.Barrier(threads)
    found: list[Spent] = []

    def run(step: Step) -> None:
        import torch

        torch.set_num_threads(1)
        with torch.inference_mode():
            for _ in range(warm_up):
                step()
            barrier.wait()
            start, processor, rows, spent = time.perf_counter(), time.thread_time(), 0, 0.0
            # One step at least, however late the thread gets its turn.
            while not rows or spent < seconds:
                rows += step()
                spent = time.perf_counter() - start
            found.append(Spent(spent / rows, (time.thread_time() - processor) / rows))

    workers = [threading.Thread(target=run, args=(step,)) for step in steps]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return Spent(statistics.mean(each.wall for each in found), statistics.mean(each.cpu for each in found))


def run_module(name: str, *arguments: Any, omp_threads: int | None = None) -> dict[str, Any]:
    """Runs ``python -m <name>`` in a process of its own and reads the JSON of its last line."""
    command = [sys.executable, "-W", "ignore", "-m", name, *map(str, arguments)]
    if omp_threads is not None:
        command = ["env", f"OMP_NUM_THREADS={omp_threads}", *command]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def spread(values: Sequence[float]) -> float:
    """Half the distance between the quarters, over the median: how much rounds differ."""
    if len(values) < 2:
        return 0.0
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return (third - first) / 2 / statistics.median(values)


def markdown(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def machine() -> Mapping[str, Any]:
    """Which machine and which libraries measured."""
    import pyarrow
    import torch

    from recinfer.predict.threads import available_cores

    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    return {
        "cpu": cpu,
        "cores": available_cores(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "pyarrow": pyarrow.__version__,
    }
