"""recinfer against the plain loop and against the bound, side by side on this machine.

Usage: python -m benchmarks.predict --model deepfm --rows 1000000 --rounds 5 [--scaling] [--json FILE]

Every round runs each competitor once, one after the other, so that a slow moment of the machine touches all alike;
ratios are taken inside a round, and their median is reported. Absolute figures mean nothing on another machine.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import models
from benchmarks.measure import machine, markdown, median, run_module, spread
from recinfer.predict.threads import available_cores

Result = dict[str, Any]

# The plain loop at this batch size is what many users have; DIN's padding makes it much slower than its best.
LARGE_BATCH = 4096

SCALING_ROWS = (500_000, 1_000_000, 2_000_000, 4_000_000)


class Contest:
    """The competitors over one model and one table.

    Args:
        model: key of :data:`benchmarks.models.BENCHMARKS`.
        folder: for data, exports and outputs; what is there already is used again.
        rows: of the table.
        large_batch_seconds: how long the plain loop runs at the large batch size.
    """

    def __init__(self, model: str, folder: Path, rows: int, large_batch_seconds: float = 10.0) -> None:
        self.model = model
        self.folder = folder
        self.export = models.export(model, folder / f"export-{model}")
        # What a tracer makes of the model as it is written: folding is recinfer's own.
        self.plain_export = models.export(model, folder / f"export-{model}-plain", fold_bytes=0)
        self.table = self._table(rows)
        self.large_batch_seconds = large_batch_seconds
        self.best: Result = {}

    def _table(self, rows: int) -> Path:
        return models.BENCHMARKS[self.model].write(self.folder / f"{self.model}-{rows}", rows, 0, 1)

    def tune(self, seconds: float) -> Result:
        """Finds the plain loop's best setting, which later runs use."""
        found = run_module("benchmarks.plain_loop", *self._plain(), "--tune", "--seconds", seconds)
        self.best = found["best"]
        return found

    def recinfer(self, rows: int | None = None) -> Result:
        """One run with default settings; of another table where ``rows`` are given."""
        table = self.table if rows is None else self._table(rows)
        # A folder of its own: two contests may share data and exports.
        with tempfile.TemporaryDirectory(prefix="output-", dir=self.folder) as output:
            return run_module("benchmarks.recinfer_run", "--export", self.export, "--input", table, "--output", output)

    def plain(self) -> Result:
        """The plain loop at its best."""
        setting = [f"--{name.replace('_', '-')}={self.best[name]}" for name in ("batch_size", "workers", "threads")]
        return run_module("benchmarks.plain_loop", *self._plain(), *setting)

    def plain_large(self) -> Result:
        """The plain loop with large batches, on both threads."""
        limit = ("--batch-size", LARGE_BATCH, "--seconds", self.large_batch_seconds)
        return run_module("benchmarks.plain_loop", *self._plain(), *limit)

    def bound(self) -> Result:
        """What the machine allows: each stage alone on one core, times the cores."""
        return self._bound(1)

    def bound_together(self) -> Result:
        """Likewise, each stage on all cores at once, which share caches and memory."""
        return self._bound(available_cores())

    def _bound(self, threads: int) -> Result:
        arguments = ("--model", self.model, "--input", self.table, "--threads", threads)
        found = run_module("benchmarks.bound", *arguments, omp_threads=1)
        return {**found, "rows_per_second": found["rows_per_second"] * available_cores() / threads}

    def _plain(self) -> tuple[Any, ...]:
        return ("--model", self.model, "--export", self.plain_export, "--input", self.table)


def compete(contest: Contest, rounds: int) -> dict[str, list[Result]]:
    """All competitors, round by round."""
    competitors: list[Callable[[], Result]] = [contest.recinfer, contest.plain, contest.plain_large]
    competitors += [contest.bound, contest.bound_together]
    results: dict[str, list[Result]] = {}
    for _ in range(rounds):
        for competitor in competitors:
            results.setdefault(competitor.__name__, []).append(competitor())
    return results


def ratios(results: dict[str, list[Result]]) -> dict[str, list[float]]:
    """recinfer's rows a second over each competitor's, round by round."""
    ours = results["recinfer"]
    return {
        name: [mine["rows_per_second"] / other["rows_per_second"] for mine, other in zip(ours, others, strict=True)]
        for name, others in results.items()
        if name != "recinfer"
    }


def comparison_table(results: dict[str, list[Result]], best: Result) -> str:
    """Rates and ratios as Markdown."""
    names = {
        "recinfer": "recinfer",
        "plain": f"plain loop, best: batch {best['batch_size']}, {best['workers']} workers, {best['threads']} threads",
        "plain_large": f"plain loop, batch {LARGE_BATCH}",
        "bound": "bound: stages alone on one core, times cores",
        "bound_together": "bound: each stage on all cores at once",
    }
    found = ratios(results)
    rows = []
    for name, runs in results.items():
        rates = [run["rows_per_second"] for run in runs]
        memory = max(run.get("peak_memory_bytes", 0) for run in runs) >> 20
        ratio = f"{median(found[name]):.2f} ± {spread(found[name]):.0%}" if name in found else ""
        processor = median([processor_microseconds(run) for run in runs])
        cells = [f"{median(rates):,.0f}", f"{spread(rates):.0%}", ratio, f"{processor:.1f}"]
        rows.append([names[name], *cells, f"{memory:,}" if memory else ""])
    return markdown(["", "rows/s", "spread", "recinfer over it", "processor µs/row", "peak MiB"], rows)


def processor_microseconds(run: Result) -> float:
    """Processor time of all threads for a row; a busy machine disturbs it less than the clock."""
    if "cpu_microseconds_per_row" in run:
        return float(run["cpu_microseconds_per_row"])
    return float(sum(run["cpu"]["microseconds_per_row"].values()))


def scale(contest: Contest, rounds: int) -> dict[int, list[Result]]:
    """recinfer over longer and longer tables, interleaved."""
    results: dict[int, list[Result]] = {rows: [] for rows in SCALING_ROWS}
    for _ in range(rounds):
        for rows in SCALING_ROWS:
            results[rows].append(contest.recinfer(rows))
    return results


def scaling_table(results: dict[int, list[Result]]) -> str:
    """Rates and memory by length as Markdown."""
    first = median([run["rows_per_second"] for run in results[min(results)]])
    rows = []
    for count, runs in results.items():
        rate = median([run["rows_per_second"] for run in runs])
        memory = median([run["peak_memory_bytes"] for run in runs]) / 2**20
        flight = median([run["peak_in_flight_bytes"] for run in runs]) / 2**20
        rows.append([f"{count:,}", f"{rate:,.0f}", f"{rate / first:.2f}", f"{memory:,.0f}", f"{flight:,.0f}"])
    return markdown(["rows", "rows/s", "over the first", "peak MiB", "in flight MiB"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=models.CONTESTED, default="deepfm")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("benchmarks/data"))
    parser.add_argument("--tune-seconds", type=float, default=3.0, help="per setting of the plain loop")
    parser.add_argument("--scaling", action="store_true", help="also 0.5 to 4 million rows (DeepFM)")
    parser.add_argument("--json", type=Path, help="write all runs here")
    given = parser.parse_args()
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)

    contest = Contest(given.model, folder, given.rows)
    tried = contest.tune(given.tune_seconds)
    results = compete(contest, given.rounds)
    print(f"{given.model}, {given.rows:,} rows, {given.rounds} rounds, on {json.dumps(machine())}\n")
    print(comparison_table(results, contest.best))
    report: Result = {"machine": machine(), "tune": tried, "runs": results, "ratios": ratios(results)}
    if given.scaling:
        scaling = scale(contest, given.rounds)
        print("\n" + scaling_table(scaling))
        report["scaling"] = scaling
    if given.json is not None:
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
