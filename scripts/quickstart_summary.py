#!/usr/bin/env python3
"""Sums up a run of quickstart.sh: how good, how fast, the first predictions, and how the scores are spread.

Usage: quickstart_summary.py [FOLDER]    (default: quickstart)
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from score_histogram import text_histogram, write_svg
from sklearn.metrics import roc_auc_score

FIRST_ROWS = 5


def find_number(tree: Any, name: str) -> float | None:
    """The first number under the key ``name`` anywhere in a JSON tree, or None."""
    if isinstance(tree, dict):
        if isinstance(tree.get(name), int | float):
            return float(tree[name])
        tree = list(tree.values())
    if isinstance(tree, list):
        for branch in tree:
            found = find_number(branch, name)
            if found is not None:
                return found
    return None


def read_json(path: Path) -> Any:
    """A JSON file, or one JSON object per line of which the last counts."""
    text = path.read_text(encoding="utf-8")
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return json.loads(text.strip().splitlines()[-1])


def read_predictions(folder: Path) -> pa.Table:
    """All part files in order, which is the order of the input's rows."""
    if not (folder / "_SUCCESS").exists():
        raise SystemExit(f"summary: {folder} is not complete (no _SUCCESS); run scripts/quickstart.sh")
    return pa.concat_tables([pq.read_table(part) for part in sorted(folder.glob("part-*.parquet"))])


def quality_table(model_auc: float, evaluated_auc: float | None, baseline_auc: float) -> Table:
    table = Table(title="Area under the ROC curve on the test split", title_justify="left")
    table.add_column("model")
    table.add_column("AUC", justify="right")
    table.add_row("DeepFM, exported model's predictions", f"{model_auc:.4f}")
    if evaluated_auc is not None:
        table.add_row("DeepFM, recinfer-eval on the checkpoint", f"{evaluated_auc:.4f}")
    table.add_row("logistic regression on the same columns", f"{baseline_auc:.4f}")
    return table


def rows_table(predictions: pa.Table) -> Table:
    table = Table(title=f"First {FIRST_ROWS} of {predictions.num_rows:,} predictions", title_justify="left")
    for name in predictions.column_names:
        table.add_column(name, justify="right")
    for row in predictions.slice(0, FIRST_ROWS).to_pylist():
        table.add_row(*(f"{value:.4f}" if isinstance(value, float) else str(value) for value in row.values()))
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("quickstart"))
    folder: Path = parser.parse_args(arguments).folder
    predictions = read_predictions(folder / "predictions")
    scores, labels = predictions["probs"].to_numpy(), predictions["label"].to_numpy()
    baseline = read_json(folder / "baseline.json")["test_auc"]
    model = float(roc_auc_score(labels, scores))
    speed = find_number(read_json(folder / "predict.json"), "rows_per_second")

    console = Console(highlight=False)
    console.print(quality_table(model, find_number(read_json(folder / "eval.json"), "auc"), baseline))
    verdict = "beats" if model > baseline else "does not beat"
    console.print(f"DeepFM {verdict} the logistic regression by {abs(model - baseline):.4f}.\n")
    console.print(rows_table(predictions))
    if speed is not None:
        console.print(f"Predicted at {speed:,.0f} rows/s; so small a table says little about speed, see benchmarks/.\n")
    console.print("How the scores are spread:")
    for line in text_histogram(scores):
        console.print(line, soft_wrap=True)
    picture = folder / "scores.svg"
    write_svg(picture, scores, labels, "MovieLens-100K: scores of the test split")
    console.print(
        f"\nPredictions: {folder / 'predictions'}   Picture: {picture}   Model: {folder / 'export'}", soft_wrap=True
    )
    return 0 if model > baseline else 1


if __name__ == "__main__":
    sys.exit(main())
