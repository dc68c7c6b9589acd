#!/usr/bin/env python3
"""Logistic regression on the columns that a pipeline config names: what a model on MovieLens has to beat.

Ids become one-hot, lists of ids multi-hot, each list's ones adding up to 1; numbers are standardised. The strength of
regularisation is chosen on the validation split, so the baseline gets the same care as the model. Prints AUCs as JSON.

Usage: movielens_baseline.py CONFIG [--data quickstart/data] [--output FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0)


def config_columns(path: Path) -> dict[str, int]:
    """Column name -> number of ids, 0 for a number, of every feature in the config."""
    from recinfer.config.load import load_pipeline_config

    columns = {}
    for feature in load_pipeline_config(path).feature_configs:
        kind = feature.WhichOneof("feature")
        settings = getattr(feature, kind)
        if kind not in ("id_feature", "raw_feature"):
            raise SystemExit(f"baseline: {kind} is not known here; only id_feature and raw_feature are")
        columns[settings.feature_name] = settings.num_buckets if kind == "id_feature" else 0
    return columns


def one_hot(column: pa.ChunkedArray, size: int) -> sparse.csr_matrix:
    """[rows, size]: ids, or lists of ids, each row's entries adding up to 1; all zero for an empty list."""
    array = column.combine_chunks()
    if pa.types.is_list(array.type):
        ids = array.flatten().to_numpy()
        offsets = np.concatenate([[0], np.cumsum(array.value_lengths().to_numpy())])
    else:
        ids = array.to_numpy()
        offsets = np.arange(len(array) + 1)
    lengths = np.diff(offsets)
    weights = np.repeat(1.0 / np.maximum(lengths, 1), lengths)
    return sparse.csr_matrix((weights, ids, offsets), shape=(len(array), size))


def design_matrix(table: pa.Table, columns: dict[str, int], scale: dict[str, tuple[float, float]]) -> sparse.csr_matrix:
    """[rows, features]; ``scale`` holds mean and standard deviation of each number."""
    blocks = []
    for name, size in columns.items():
        if size:
            blocks.append(one_hot(table[name], size))
        else:
            mean, deviation = scale[name]
            values = (table[name].to_numpy().astype(np.float64) - mean) / deviation
            blocks.append(sparse.csr_matrix(values[:, None]))
    return sparse.hstack(blocks, format="csr")


def fit_and_score(splits: dict[str, pa.Table], columns: dict[str, int], label: str = "label") -> dict[str, float]:
    """AUC on valid and test of the best of ``STRENGTHS`` on valid; ``splits`` has train, valid and test."""
    numbers = [name for name, size in columns.items() if not size]
    values = {name: splits["train"][name].to_numpy() for name in numbers}
    scale = {name: (float(v.mean()), float(v.std()) or 1.0) for name, v in values.items()}
    inputs = {name: design_matrix(table, columns, scale) for name, table in splits.items()}
    labels = {name: table[label].to_numpy() for name, table in splits.items()}
    best: dict[str, float] = {}
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=1000).fit(inputs["train"], labels["train"])
        auc = {
            name: float(roc_auc_score(labels[name], model.decision_function(inputs[name])))
            for name in ("valid", "test")
        }
        if not best or auc["valid"] > best["valid_auc"]:
            best = {"valid_auc": auc["valid"], "test_auc": auc["test"], "C": strength}
    return best


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="pipeline config whose features are used")
    parser.add_argument("--data", type=Path, default=Path("quickstart/data"), help="folder with train, valid and test")
    parser.add_argument("--output", type=Path, help="where to write the result as well")
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    columns = config_columns(options.config)
    splits = {name: pq.read_table(options.data / name) for name in ("train", "valid", "test")}
    result = {
        "model": "logistic regression",
        **fit_and_score(splits, columns),
        "seconds": round(time.perf_counter() - started, 1),
    }
    text = json.dumps(result)
    print(text)
    if options.output:
        options.output.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
