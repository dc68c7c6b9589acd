"""The baseline's design matrix, and that it learns what can be learned."""

from __future__ import annotations

import movielens_baseline as baseline
import numpy as np
import pyarrow as pa


def test_one_hot_of_ids() -> None:
    matrix = baseline.one_hot(pa.chunked_array([[2, 0], [1]], pa.int64()), 3)
    assert matrix.toarray().tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]


def test_one_hot_of_lists_adds_up_to_one_or_zero() -> None:
    column = pa.chunked_array([[[0, 1], []], [[2, 2]]], pa.list_(pa.int64()))
    assert baseline.one_hot(column, 3).toarray().tolist() == [[0.5, 0.5, 0], [0, 0, 0], [0, 0, 1]]


def test_one_hot_of_a_slice() -> None:
    table = pa.table({"x": pa.array([[0], [1, 2], [2]], pa.list_(pa.int64()))}).slice(1)
    assert baseline.one_hot(table["x"], 3).toarray().tolist() == [[0, 0.5, 0.5], [0, 0, 1]]


def test_finds_a_linear_rule() -> None:
    rng = np.random.default_rng(0)
    splits = {}
    for name in ("train", "valid", "test"):
        ids, numbers = rng.integers(0, 4, 500), rng.normal(3, 2, 500)
        label = (numbers + 2 * (ids == 1) > 3.5).astype(int)
        splits[name] = pa.table({"ids": ids, "numbers": numbers, "noise": rng.normal(size=500), "label": label})
    columns = {"ids": 4, "numbers": 0}
    assert baseline.fit_and_score(splits, columns)["test_auc"] > 0.97
    assert abs(baseline.fit_and_score(splits, {"noise": 0})["test_auc"] - 0.5) < 0.1
