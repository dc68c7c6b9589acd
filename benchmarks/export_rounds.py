"""Exports one benchmark model in every way, and measures all ways side by side. Run by ``benchmarks.export``.

Usage: OMP_NUM_THREADS=1 python -m benchmarks.export_rounds --model deepfm --folder FOLDER
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks import models
from benchmarks.measure import ROOT, Step, seconds_per_row
from recinfer.data.batch import BatchSlicer, Chunking, cut_points
from recinfer.data.parser import Tensors
from recinfer.errors import ModelError, ParityError
from recinfer.export.compile_options import CompileOptions
from recinfer.export.kinds import KINDS
from recinfer.export.parity import default_bound, is_bounded
from recinfer.main.scorer import load_scorer
from recinfer.predict.device import CPU, device_of
from recinfer.predict.model_scorer import ModelScorer
from recinfer.predict.scorer import Scorer

EAGER = "eager"
BATCHES = (256, 1024, 4096, 16384)
# Batches are cut from so many rows, so that the same ids do not come back while they are still in the cache.
POOL_ROWS = 65_536
MOST_CHUNKS = 64
PARITY_ROWS = 4096
# How far scores may stray with layers in BF16.
HALF_BOUND = 0.05

Result = dict[str, Any]
Chunk = tuple[Tensors, int]


@dataclass(frozen=True)
class Variant:
    """One way to export a model.

    Attributes:
        name: for people.
        kind: a key of :data:`~recinfer.export.kinds.KINDS`.
        changes: fields of the export job that differ from a plain FP32 export without folded tables.
    """

    name: str
    kind: str
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def job(self) -> dict[str, Any]:
        """All fields of the job; tables are folded only where the variant says so."""
        given = {"fold_bytes": 0, "kind": self.kind, **self.changes}
        if given["fold_bytes"] is None:
            del given["fold_bytes"]
        tables = [given.get(name, "FP32") for name in ("quant_emb", "quant_ec_emb")]
        return {"parity_bound": default_bound(tables, given.get("quant_dense", "none")), **given}


def variants(device: torch.device = CPU) -> list[Variant]:
    """Every kind for a device: as the model is written, with INT8 tables, where it can with folded tables, with INT8
    layers on processors, and with half-precision layers on GPUs."""
    folded: dict[str, Any] = {"fold_bytes": None}
    tables = {"quant_emb": "INT8", "quant_ec_emb": "INT8"}
    layers: tuple[str, dict[str, Any]] = ("INT8 layers", {"quant_dense": "int8"})
    if device.type == "cuda":
        layers = ("BF16 layers", {"mixed_precision": "BF16", "parity_bound": HALF_BOUND})
    found = []
    for kind, about in KINDS.items():
        if device.type not in about.devices:
            continue
        made: dict[str, Any] = {} if device == CPU else {"compile_options": CompileOptions(device=device)}
        found += [
            Variant(kind, kind, made),
            Variant(f"{kind}, INT8 tables", kind, {**made, **tables}),
            Variant(f"{kind}, {layers[0]}", kind, {**made, **layers[1]}),
        ]
        if not about.whole:
            found += [
                Variant(f"{kind}, folded", kind, {**made, **folded}),
                Variant(f"{kind}, folded, {layers[0]}", kind, {**made, **folded, **layers[1]}),
            ]
    return found


def write(model: str, variant: Variant, folder: Path, scale: int, device: torch.device = CPU) -> Path:
    """The export of a variant: made now, unless one of this very source is there.

    Raises:
        ModelError: the model cannot have it.
        ParityError: its scores stray too far.
    """
    slug = variant.name.replace(",", "").replace(" ", "-").lower()
    where = "" if device == CPU else f"-{device.type}"
    path = folder / f"exports-{model}-{scale}{where}" / slug
    if path.exists() and not _is_current(path):
        shutil.rmtree(path)
    rows = models.BENCHMARKS[model].sample(PARITY_ROWS, scale)
    return models.export(model, path, scale, parity_rows=lambda: (rows, "generated"), **variant.job)


def facts(path: Path) -> Result:
    """Score error and size of an export, as its manifest says."""
    manifest = json.loads((path / "recinfer.json").read_text(encoding="utf-8"))
    errors = [each for name, each in manifest["parity"]["differences"].items() if is_bounded(name)]
    return {
        "error_max": max(each["largest"] for each in errors),
        "error_mean": max(each["mean"] for each in errors),
        "bytes": manifest["bytes"],
    }


def chunks_of(scorer: Scorer, model: str, batch: int, scale: int) -> list[Chunk]:
    """Batches of a benchmark's rows and how many rows each has: of ``batch`` rows, or of so many sequence steps."""
    rows = models.BENCHMARKS[model].sample(min(POOL_ROWS, MOST_CHUNKS * batch), scale)
    tensors = scorer.parser(rows)
    chunking = Chunking(rows.num_rows, batch) if scorer.sequences else Chunking(batch)
    points = cut_points(chunking, rows.num_rows, scorer.row_steps(tensors))
    # The last one may be shorter than the others.
    points = points[: max(len(points) - 1, 1)][:MOST_CHUNKS]
    cut = BatchSlicer(tensors)
    return [(cut(first, last), last - first) for first, last in points]


def compete(
    scorers: Mapping[str, Scorer],
    chunks: Sequence[Chunk],
    rounds: int,
    seconds: float,
    threads: Sequence[int],
) -> list[Result]:
    """Rows a second of every scorer, round by round: what slows the machine slows all."""
    steps = {name: _steps(scorer, chunks) for name, scorer in scorers.items()}
    for make in steps.values():
        with torch.inference_mode():
            step = make()
            for _ in range(3):
                step()
    found: list[Result] = []
    for number in range(rounds):
        # Every other round goes backwards, so that none always follows the same other one.
        for name in list(steps) if number % 2 == 0 else reversed(list(steps)):
            for count in threads:
                spent = seconds_per_row(steps[name], seconds, count, warm_up=1)
                found.append(
                    {
                        "variant": name,
                        "threads": count,
                        "round": number,
                        "rows_per_second": count / spent.wall,
                        "processor_microseconds_per_row": spent.cpu * 1e6,
                    }
                )
    return found


def measure(
    model: str,
    folder: Path,
    *,
    scale: int = 1,
    rounds: int = 5,
    seconds: float = 0.5,
    batches: Sequence[int] = BATCHES,
    threads: Sequence[int] = (1, 2),
    device: str = "cpu",
    ways: Sequence[Variant] | None = None,
) -> Result:
    """Makes all exports of a model and measures them against the model itself.

    Args:
        scale: divides the vocabularies.
        seconds: of each measurement.
        batches: in rows; in sequence steps where the model has sequences.
        device: ``cpu``, ``cuda`` or ``cuda:n``.
        ways: to export; by default all for the device.

    Returns:
        ``exports`` (score error and bytes, or why there is none, by variant), and ``runs`` (rows a second by batch,
        variant, threads and round).
    """
    config, features, built = models.build(model, scale)
    place = device_of(device)
    scorers: dict[str, Scorer] = {EAGER: ModelScorer(built, features, EAGER, config.data_config, place)}
    exports: dict[str, Result] = {}
    for variant in variants(place) if ways is None else ways:
        _say(f"{model}: exporting {variant.name}")
        try:
            path = write(model, variant, folder, scale, place)
            scorers[variant.name] = load_scorer(path, device=device)
        except (ModelError, ParityError) as error:
            exports[variant.name] = {"failed": error.message}
        else:
            exports[variant.name] = facts(path)
    runs: list[Result] = []
    for batch in batches:
        _say(f"{model}: measuring batches of {batch}")
        chunks = chunks_of(scorers[EAGER], model, batch, scale)
        runs += [{"batch": batch, **run} for run in compete(scorers, chunks, rounds, seconds, threads)]
    return {"model": model, "unit": "steps" if scorers[EAGER].sequences else "rows", "exports": exports, "runs": runs}


def _steps(scorer: Scorer, chunks: Sequence[Chunk]) -> Callable[[], Step]:
    """Makes a step for each thread, which scores one batch after the other; threads begin at other batches."""
    made = itertools.count()

    def make() -> Step:
        places = itertools.count(next(made) * (len(chunks) // 2))

        def step() -> int:
            tensors, rows = chunks[next(places) % len(chunks)]
            scorer.run(tensors)
            return rows

        return step

    return make


def _is_current(export: Path) -> bool:
    """Whether an export is newer than every source file of recinfer."""
    manifest, sources = export / "recinfer.json", (ROOT / "recinfer").rglob("*.py")
    return manifest.is_file() and manifest.stat().st_mtime > max(path.stat().st_mtime for path in sources)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=sorted(models.BENCHMARKS), required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--threads", type=int, nargs="+", default=(1, 2))
    parser.add_argument("--device", default="cpu")
    print(json.dumps(measure(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
