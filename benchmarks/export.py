"""Which export is fastest: the model itself and every way to export it, side by side on this machine.

Usage: python -m benchmarks.export [--models deepfm mmoe din] [--device cuda] [--quick] [--json FILE]

Every round runs each export once, on one thread and on two; ratios are taken inside a round, and their median is
reported. Absolute figures mean nothing on another machine.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import machine, markdown, median, run_module, spread

MODELS = ("deepfm", "mmoe", "din")
EAGER = "eager"
# The batch that threads are compared at: about the chunk that prediction scores in, 1,024 rows or 3,000 steps.
SCALING_BATCH = {"rows": 1024, "steps": 4096}
# What two threads shall do over one where a model is compiled.
SCALING_TARGET = 1.8
COMPILED = "aot"

Result = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """How long to measure.

    Attributes:
        scale: divides the vocabularies.
        rounds: in which all take their turn.
        seconds: of each measurement.
        batches: in rows; for models with sequences, in steps.
        threads: that score side by side.
        device: ``cpu``, ``cuda`` or ``cuda:n``.
    """

    scale: int = 1
    rounds: int = 5
    seconds: float = 0.5
    batches: tuple[int, ...] = (256, 1024, 4096, 16384)
    threads: tuple[int, ...] = (1, 2)
    device: str = "cpu"


# To see that all runs: its figures say nothing.
QUICK = Settings(scale=100, rounds=2, seconds=0.1, batches=(256, 1024))


def run(model: str, folder: Path, settings: Settings) -> Result:
    """Measures one model in a process of its own, whose threads have one core each."""
    arguments: list[Any] = ["--model", model, "--folder", folder]
    for name, value in asdict(settings).items():
        arguments += [f"--{name}", *(value if isinstance(value, tuple) else (value,))]
    return run_module("benchmarks.export_rounds", *arguments, omp_threads=1)


def rates(result: Result, variant: str, batch: int, threads: int) -> list[float]:
    """Rows a second of each round."""
    chosen = [
        run for run in result["runs"] if (run["variant"], run["batch"], run["threads"]) == (variant, batch, threads)
    ]
    return [float(run["rows_per_second"]) for run in sorted(chosen, key=lambda run: run["round"])]


def over_eager(result: Result, variant: str, batch: int, threads: int) -> list[float]:
    """Rows a second over the model's own, round by round."""
    return _ratios(rates(result, variant, batch, threads), rates(result, EAGER, batch, threads))


def scaling(result: Result, variant: str) -> list[float]:
    """Rows a second of the most threads over those of the fewest, round by round; empty where there is one number."""
    batches = _numbers(result, "batch")
    usual = SCALING_BATCH[result["unit"]]
    batch = usual if usual in batches else batches[0]
    counts = _numbers(result, "threads")
    if len(counts) < 2:
        return []
    return _ratios(rates(result, variant, batch, counts[-1]), rates(result, variant, batch, counts[0]))


def table(results: Sequence[Result]) -> str:
    """All models and exports as Markdown: the model's rows a second, and ratios to it."""
    places = [(batch, count) for batch in _numbers(results[0], "batch") for count in _numbers(results[0], "threads")]
    header = ["model", "export", *(f"{batch:,}, {_threads(count)}" for batch, count in places)]
    rows = [row for result in results for row in _rows(result, places)]
    return markdown([*header, "threads gain", "error, largest", "mean", "MiB"], rows)


def scaling_lines(results: Sequence[Result]) -> str:
    """What threads gain, model by model, and whether compiled exports reach the target."""
    lines = []
    for result in results:
        found = {name: median(ratio) for name in _variants(result) if (ratio := scaling(result, name))}
        compiled = [value for name, value in found.items() if name.startswith(COMPILED)]
        verdict = f"; compiled at least {min(compiled):.2f}, wanted {SCALING_TARGET}" if compiled else ""
        if found:
            each = ", ".join(f"{name} {value:.2f}" for name, value in found.items())
            lines.append(f"{result['model']}, two threads over one: {each}{verdict}")
    return "\n".join(lines)


def _rows(result: Result, places: Sequence[tuple[int, int]]) -> Iterable[list[str]]:
    for name in _variants(result):
        about = result["exports"].get(name, {})
        if "failed" in about:
            yield [result["model"], name, f"none: {about['failed']}", *[""] * (len(places) + 3)]
            continue
        if name == EAGER:
            cells = [f"{median(rates(result, name, *place)):,.0f} rows/s" for place in places]
            known = ["", "", ""]
        else:
            cells = [_with_spread(over_eager(result, name, *place)) for place in places]
            known = [f"{about['error_max']:.1e}", f"{about['error_mean']:.1e}", f"{about['bytes'] / 2**20:,.0f}"]
        yield [result["model"], name, *cells, _with_spread(scaling(result, name)), *known]


def _variants(result: Result) -> list[str]:
    return [EAGER, *result["exports"]]


def _numbers(result: Result, what: str) -> list[int]:
    return sorted({run[what] for run in result["runs"]})


def _ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    return [first / second for first, second in zip(above, below, strict=True)]


def _with_spread(ratios: Sequence[float]) -> str:
    return f"{median(ratios):.2f} ± {spread(ratios):.0%}" if ratios else ""


def _threads(count: int) -> str:
    return f"{count} thread" if count == 1 else f"{count} threads"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--rounds", type=int, help=f"default: {Settings.rounds}")
    parser.add_argument("--seconds", type=float, help=f"of each measurement; default: {Settings.seconds}")
    parser.add_argument("--batches", type=int, nargs="+", help=f"default: {' '.join(map(str, Settings.batches))}")
    parser.add_argument("--device", help="cpu (the default), cuda or cuda:n")
    parser.add_argument("--scale", type=int, help="divides the vocabularies; default: 1")
    parser.add_argument("--quick", action="store_true", help="small tables, few rounds: only to see that all runs")
    parser.add_argument("--folder", type=Path, default=Path("benchmarks/data"), help="for exports")
    parser.add_argument("--json", type=Path, help="write all runs here")
    given = parser.parse_args()
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    settings = _settings(given)
    results = [run(model, folder, settings) for model in given.models]
    print(f"{settings.rounds} rounds of {settings.seconds} s, on {json.dumps(machine())}\n")
    print(table(results))
    print("\n" + scaling_lines(results))
    if given.json is not None:
        report = {"machine": machine(), "settings": asdict(settings), "results": results}
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _settings(given: argparse.Namespace) -> Settings:
    chosen = asdict(QUICK if given.quick else Settings())
    for name in ("scale", "rounds", "seconds", "batches", "device"):
        value = getattr(given, name)
        if value is not None:
            chosen[name] = tuple(value) if isinstance(value, list) else value
    return Settings(**chosen)


if __name__ == "__main__":
    main()
