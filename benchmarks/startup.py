"""How long a user waits: for ``recinfer --help``, and from the predict command to the first batch scored.

Usage: python -m benchmarks.startup --model deepfm [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import models
from benchmarks.measure import machine, markdown, median, run_module, spread

ROWS = 100_000


def help_seconds() -> float:
    """From the command to the end of ``recinfer --help``."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "recinfer.cli.app", "--help"], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def first_batch_seconds(export: Path, table: Path, output: Path) -> float:
    """From the start of the process to the first batch handed to the writer."""
    start = time.time()
    found = run_module("benchmarks.recinfer_run", "--export", export, "--input", table, "--output", output)
    return float(found["first_batch_at"]) - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=sorted(models.BENCHMARKS), default="deepfm")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("benchmarks/data"))
    given = parser.parse_args()
    folder = given.folder.resolve()
    export = models.export(given.model, folder / f"export-{given.model}")
    table = models.BENCHMARKS[given.model].write(folder / f"{given.model}-{ROWS}", ROWS, 0, 1)
    times: dict[str, list[float]] = {"recinfer --help": [], "command to first batch": []}
    for _ in range(given.rounds):
        times["recinfer --help"].append(help_seconds())
        with tempfile.TemporaryDirectory(prefix="output-", dir=folder) as output:
            times["command to first batch"].append(first_batch_seconds(export, table, Path(output)))
    print(f"{given.model}, on {json.dumps(machine())}\n")
    rows = [[name, f"{median(each):.2f}", f"{spread(each):.0%}"] for name, each in times.items()]
    print(markdown(["", "seconds", "spread"], rows))


if __name__ == "__main__":
    main()
