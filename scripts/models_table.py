#!/usr/bin/env python3
"""Trains every ranking model on the MovieLens split of the quickstart and writes the table of docs/models.md.

All configs in configs/movielens have the same optimizers and batches (a test holds them to it). Each is trained
with several seeds on `train`, exported, and scored on `test`, the newest tenth of the ratings, which nothing was chosen
by. Run it with OMP_NUM_THREADS=1: times are processor times, which waste none on threads that wait for each other.

Usage: models_table.py [--data quickstart/data] [--models deepfm,dcn_v2] [--seeds 3] [--output FILE] [--write]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from models_page import PAGE, ROOT, replace_section
from sklearn.metrics import log_loss, roc_auc_score

import recinfer

CONFIGS = ROOT / "configs" / "movielens"
SCORING_ROUNDS = 5


@dataclass(frozen=True)
class Result:
    """One model, trained with one or more seeds.

    Attributes:
        model: stem of its config.
        auc, log_loss: of each seed, on the test split.
        table_parameters, layer_parameters: numbers that are learned in embedding tables and outside of them.
        train_seconds: of each seed, in processor time of all threads, without evaluation.
        rows_per_second: of each seed's export, per second of processor time, the best of some rounds; rows are in
            memory, parsing is included.
    """

    model: str
    auc: list[float]
    log_loss: list[float]
    table_parameters: int
    layer_parameters: int
    train_seconds: list[float]
    rows_per_second: list[float]


def count_parameters(config: Path) -> tuple[int, int]:
    """(in embedding tables, elsewhere)."""
    from recinfer.main.config import load_config
    from recinfer.main.model_input import new_model

    _, model = new_model(load_config(config))
    in_tables = sum(each.numel() for each in model.embedding_group.parameters())
    return in_tables, sum(each.numel() for each in model.parameters()) - in_tables


def scoring_speed(export: Path, table: pa.Table, rounds: int = SCORING_ROUNDS) -> tuple[np.ndarray, float]:
    """The probabilities of the rows, and rows a second."""
    scorer = recinfer.load_scorer(export)
    best = float("inf")
    for _ in range(rounds + 1):
        # The first round is there to warm up; it may only lose.
        started = time.process_time()
        scores = scorer.score(table)
        best = min(best, time.process_time() - started)
    (column,) = (name for name in scores.column_names if name.startswith("probs"))
    return np.array(scores[column], np.float64), table.num_rows / best


def run_model(config: Path, data: Path, seeds: int, overrides: Sequence[str] = ()) -> Result:
    """Trains and measures one model."""
    table = pq.read_table(data / "test")
    labels = np.array(table["label"])
    result = Result(config.stem, [], [], *count_parameters(config), [], [])
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as scratch:
            model, export = Path(scratch) / "model", Path(scratch) / "export"
            changes = [*overrides, "eval_input_path=", "train_config.use_tensorboard=false", f"model_dir={model}"]
            started = time.process_time()
            recinfer.train_and_evaluate(config, train_input_path=str(data / "train"), overrides=changes, seed=seed)
            result.train_seconds.append(time.process_time() - started)
            recinfer.export(model / "pipeline.config", export)
            probabilities, speed = scoring_speed(export, table)
        result.auc.append(float(roc_auc_score(labels, probabilities)))
        result.log_loss.append(float(log_loss(labels, probabilities)))
        result.rows_per_second.append(speed)
    return result


def spread(values: Sequence[float], digits: int) -> str:
    """Mean and half the distance between the largest and the smallest."""
    half = (max(values) - min(values)) / 2
    return f"{mean(values):.{digits}f}" + (f" ± {half:.{digits}f}" if len(values) > 1 else "")


def markdown(results: Sequence[Result]) -> str:
    """The table, the highest AUC first."""
    lines = [
        "| model | AUC | log loss | parameters in tables | in layers | training, s | rows/s |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in sorted(results, key=lambda each: -mean(each.auc)):
        cells = [
            f"`{result.model}`",
            spread(result.auc, 4),
            spread(result.log_loss, 4),
            f"{result.table_parameters:,}",
            f"{result.layer_parameters:,}",
            f"{mean(result.train_seconds):.1f}",
            f"{float(f'{mean(result.rows_per_second):.2g}'):,.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("quickstart/data"), help="folder with train and test")
    parser.add_argument("--models", help="names, separated by commas (default: all)")
    parser.add_argument("--seeds", type=int, default=3, help="how many times each is trained")
    parser.add_argument("--output", type=Path, help="where to write the results as JSON")
    parser.add_argument("--write", action="store_true", help="write the table into docs/models.md")
    parser.add_argument("-o", "--override", action="append", default=[], help="field=value of the configs")
    options = parser.parse_args(arguments)
    known = {path.stem: path for path in sorted(CONFIGS.glob("*.config"))}
    names = options.models.split(",") if options.models else list(known)
    if unknown := [name for name in names if name not in known]:
        parser.error(f"no config for {', '.join(unknown)}; there are {', '.join(known)}")
    results = []
    for name in names:
        results.append(run_model(known[name], options.data, options.seeds, options.override))
        print(json.dumps(asdict(results[-1])), file=sys.stderr, flush=True)
    text = markdown(results)
    print(text)
    if options.output:
        options.output.write_text(json.dumps([asdict(result) for result in results]) + "\n", encoding="utf-8")
    if options.write:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(replace_section(page, "quality", text), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
