"""Several ranks against one process with the same cores, and a simulation of a thousand.

Usage: python -m benchmarks.ranks [--rows 2000000] [--rounds 3] [--simulate-ranks 1000] [--simulate-units 1000000]

One process has all cores; two ranks, started by torchrun, share them. An export is scored without collectives, a
checkpoint with its tables sharded over the ranks. Rounds are interleaved, ratios are taken inside a round. The rate is
that of scoring; the waiting time, that of the whole command, shows what starting costs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks import models
from benchmarks.claim_simulation import World, simulate
from benchmarks.measure import ROOT, machine, markdown, median

Result = dict[str, Any]


def score(model: list[str], table: Path, ranks: int) -> Result:
    """One run of the command: by one process for ``ranks`` 0, else by so many under torchrun.

    Args:
        model: the command's arguments that name it.
    """
    launch = ["torch.distributed.run", f"--nproc-per-node={ranks}", "-m"] if ranks else []
    with tempfile.TemporaryDirectory(prefix="output-", dir=table.parent) as output:
        paths = ["--predict_input_path", str(table), "--predict_output_path", output]
        command = [sys.executable, "-W", "ignore", "-m", *launch, "recinfer.predict", *model, *paths]
        start = time.perf_counter()
        done = subprocess.run([*command, "--json"], cwd=ROOT, capture_output=True, text=True)
        waited = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(done.stderr)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return {**json.loads(lines[-1]), "waited_seconds": waited}


def compete(model: list[str], table: Path, rounds: int) -> dict[int, list[Result]]:
    """One process (0), one rank and two ranks, round by round."""
    results: dict[int, list[Result]] = {0: [], 1: [], 2: []}
    for _ in range(rounds):
        for ranks, runs in results.items():
            runs.append(score(model, table, ranks))
    return results


def comparison_table(results: dict[int, list[Result]]) -> str:
    """Rates, ratios, memory and waiting times as Markdown."""
    rows = []
    for ranks, runs in results.items():
        ratio = [run["rows_per_second"] / one["rows_per_second"] for run, one in zip(runs, results[0], strict=True)]
        rows.append(
            [
                f"{ranks} rank{'s' if ranks > 1 else ''}" if ranks else "one process",
                f"{median([run['rows_per_second'] for run in runs]):,.0f}",
                f"{median(ratio):.2f}",
                f"{median([run['peak_memory_bytes'] for run in runs]) / 2**20:,.0f}",
                f"{median([run['waited_seconds'] for run in runs]):.1f}",
            ]
        )
    return markdown(["", "rows/s", "over one process", "peak MiB, all ranks", "seconds, whole command"], rows)


def store_operation_seconds(operations: int = 20_000) -> float:
    """Time of one step of a real store's counter, over the loopback."""
    import torch.distributed as dist

    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=30))
    for _ in range(100):
        store.add("next", 1)
    start = time.perf_counter()
    for _ in range(operations):
        store.add("next", 1)
    return (time.perf_counter() - start) / operations


def simulation_table(world: World) -> tuple[str, Result]:
    """The simulation's outcome as Markdown, and as values."""
    found = simulate(world)
    values = {name: value for name, value in vars(found).items() if name not in ("owners", "scored")}
    exactly_once = bool((found.owners == 1).all())
    rows = [
        ["ranks, units", f"{world.ranks:,}, {world.units:,} of {world.unit_seconds} s"],
        ["every unit drawn exactly once", exactly_once],
        ["job", f"{found.seconds:,.0f} s, {found.efficiency:.2%} of all ranks' time on units"],
        ["store", f"{found.operations_per_second:,.0f} operations/s, {found.peak:,.0f} in the busiest second"],
        ["store busy", f"{found.store_busy:.1%} at {world.operation_seconds * 1e6:.0f} µs an operation"],
        ["wait for a unit", f"{found.claim_wait[0] * 1e3:.2f} ms, {found.claim_wait[1] * 1e3:.1f} ms at most"],
        ["idle at the end", f"{found.tail_idle[0]:.2f} s, {found.tail_idle[1]:.2f} s at most"],
    ]
    return markdown(["", ""], rows), {**values, "exactly_once": exactly_once, "world": asdict(world)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=sorted(models.BENCHMARKS), default="deepfm")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="0: only the simulation")
    parser.add_argument("--scale", type=int, default=1, help="divides the vocabularies")
    parser.add_argument("--simulate-ranks", type=int, default=1000)
    parser.add_argument("--simulate-units", type=int, default=1_000_000)
    parser.add_argument("--unit-seconds", type=float, default=2.6, help="256k rows at 100k rows/s")
    parser.add_argument("--folder", type=Path, default=Path("benchmarks/data"))
    parser.add_argument("--json", type=Path, help="write everything here")
    given = parser.parse_args()
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)

    operation = store_operation_seconds()
    shown, simulated = simulation_table(
        World(given.simulate_ranks, given.simulate_units, given.unit_seconds, operation_seconds=operation)
    )
    print(f"on {json.dumps(machine())}\n\n{shown}")
    report: Result = {"machine": machine(), "operation_seconds": operation, "simulation": simulated}
    if given.rounds:
        export = models.export(given.model, folder / f"export-{given.model}-{given.scale}", given.scale)
        trained = models.checkpoint(given.model, folder / f"checkpoint-{given.model}-{given.scale}", given.scale)
        table = models.BENCHMARKS[given.model].write(folder / f"{given.model}-{given.rows}", given.rows, 0, given.scale)
        kinds = {
            "scripted": ["--scripted_model_path", str(export)],
            "sharded": ["--pipeline_config_path", str(trained / "pipeline.config")],
        }
        for kind, model in kinds.items():
            results = compete(model, table, given.rounds)
            title = f"{given.model}, {kind}, {given.rows:,} rows, {given.rounds} rounds"
            print(f"\n{title}\n\n{comparison_table(results)}", flush=True)
            report[kind] = {str(ranks): runs for ranks, runs in results.items()}
    if given.json is not None:
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
