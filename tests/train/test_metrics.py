"""Metrics against scikit-learn and slow obvious versions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

from recinfer.errors import ConfigError
from recinfer.models.base import Task
from recinfer.protos.loss_pb2 import LossConfig
from recinfer.protos.metric_pb2 import MetricConfig, TrainMetricConfig
from recinfer.train.batches import Batch
from recinfer.train.metrics import Metrics, grouping_columns
from recinfer.train.ranking_metrics import group_aucs
from recinfer.train.train_metrics import TrainMetrics

RNG = np.random.default_rng(0)
LABEL = RNG.integers(0, 2, 400)
SCORE = np.clip(RNG.uniform(size=400) * 0.7 + LABEL * 0.3, 0, 1).astype(np.float32)
GROUP = RNG.integers(0, 25, 400)


def task(*metrics: str, name: str = "", num_class: int = 1, loss: str = "binary_cross_entropy {}") -> Task:
    parsed: tuple[Any, ...] = tuple(text_format.Parse(text, MetricConfig()) for text in metrics)
    return Task(name, "label", num_class, (text_format.Parse(loss, LossConfig()),), parsed, ())


def batches(predictions: dict[str, Any], label: Any = LABEL, size: int = 150) -> Any:
    for start in range(0, len(label), size):
        part = slice(start, start + size)
        label_part = torch.tensor(label[part])
        batch = Batch({}, {"label": label_part}, {}, {"user": torch.tensor(GROUP[part])}, len(label_part))
        yield {key: torch.tensor(value[part]) for key, value in predictions.items()}, batch


def measure(tasks: list[Task], predictions: dict[str, Any], label: Any = LABEL) -> dict[str, float]:
    metrics = Metrics(tasks)
    for predicted, batch in batches(predictions, label):
        metrics.update(predicted, batch)
    return metrics.compute()


def test_binary_metrics_against_sklearn() -> None:
    found = measure(
        [
            task(
                "auc { thresholds: 20000 }",
                "accuracy { threshold: 0.6 }",
                "mean_absolute_error {}",
                "mean_squared_error {}",
            )
        ],
        {"probs": SCORE},
    )
    assert found["auc"] == pytest.approx(roc_auc_score(LABEL, SCORE), abs=2e-4)
    assert found["accuracy"] == pytest.approx(accuracy_score(LABEL, SCORE > 0.6))
    assert found["mean_absolute_error"] == pytest.approx(np.abs(SCORE - LABEL).mean(), rel=1e-5)
    assert found["mean_squared_error"] == pytest.approx(np.square(SCORE - LABEL).mean(), rel=1e-5)


def test_normalized_entropy_against_sklearn() -> None:
    score = np.clip(SCORE, 0.01, 0.99)
    found = measure([task("normalized_entropy {}")], {"probs": score})
    always_the_mean = np.full(len(LABEL), LABEL.mean())
    assert found["normalized_entropy"] == pytest.approx(
        log_loss(LABEL, score.astype(np.float64)) / log_loss(LABEL, always_the_mean), rel=1e-6
    )


def test_grouped_auc_is_the_mean_over_groups_with_both_labels() -> None:
    found = measure([task('grouped_auc { grouping_key: "user" }')], {"probs": SCORE})
    aucs = [roc_auc_score(LABEL[g == GROUP], SCORE[g == GROUP]) for g in range(25) if len(set(LABEL[g == GROUP])) == 2]
    assert found["grouped_auc"] == pytest.approx(np.mean(aucs), rel=1e-6)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 3)), min_size=1, max_size=40))
def test_group_aucs_with_ties_against_pairs(rows: list[tuple[int, bool, int]]) -> None:
    scores, labels, groups = (np.array(column) for column in zip(*rows, strict=True))
    expected = []
    for group in sorted(set(groups)):
        good, bad = (scores[(groups == group) & (labels == side)] for side in (True, False))
        if len(good) and len(bad):
            wins = sum((g > b) + 0.5 * (g == b) for g in good for b in bad)
            expected.append(wins / (len(good) * len(bad)))
    assert group_aucs(scores.astype(float), labels, groups) == pytest.approx(expected)


def test_several_classes() -> None:
    label = RNG.integers(0, 3, 400)
    probs = RNG.dirichlet([1, 1, 1], 400).astype(np.float32)
    probs[np.arange(400), label] += 0.3
    probs /= probs.sum(1, keepdims=True)
    many = task(
        "multiclass_auc { thresholds: 5000 }", "accuracy { top_k: 2 }", num_class=3, loss="softmax_cross_entropy {}"
    )
    found = measure([many], {"probs": probs}, label)
    assert found["multiclass_auc"] == pytest.approx(roc_auc_score(label, probs, multi_class="ovr"), abs=1e-3)
    top2 = np.argsort(-probs, axis=1)[:, :2]
    assert found["accuracy"] == pytest.approx((top2 == label[:, None]).any(1).mean())


def test_two_classes_are_judged_by_probs1() -> None:
    found = measure(
        [task("auc { thresholds: 20000 }", num_class=2, loss="softmax_cross_entropy {}")], {"probs1": SCORE}
    )
    assert found["auc"] == pytest.approx(roc_auc_score(LABEL, SCORE), abs=2e-4)


def test_regression_and_task_names() -> None:
    value = task("mean_absolute_error {}", name="buy", loss="l2_loss {}")
    found = measure([value], {"y_buy": SCORE * 9}, LABEL.astype(np.float32))
    assert found == {"mean_absolute_error_buy": pytest.approx(np.abs(SCORE * 9 - LABEL).mean(), rel=1e-5)}


def test_undefined_is_nan() -> None:
    ones = np.ones_like(LABEL)
    found = measure(
        [task("auc {}", 'grouped_auc { grouping_key: "user" }', "normalized_entropy {}")], {"probs": SCORE}, ones
    )
    assert len(found) == 3
    assert all(math.isnan(value) for value in found.values())


@pytest.mark.parametrize(
    "text", ["recall_at_k {}", "xauc {}", 'grouped_xauc { grouping_key: "u" }', "multiclass_auc {}", "grouped_auc {}"]
)
def test_metrics_that_do_not_run_are_config_errors(text: str) -> None:
    with pytest.raises(ConfigError):
        Metrics([task(text)])


def test_grouping_columns() -> None:
    assert grouping_columns(
        [task('grouped_auc { grouping_key: "b" }', "auc {}"), task('grouped_auc { grouping_key: "a" }')]
    ) == ("b", "a")


def test_train_metrics_smooth_windows() -> None:
    config: Any = text_format.Parse("accuracy {} decay_rate: 0.75 decay_step: 2", TrainMetricConfig())
    metrics = TrainMetrics([Task("", "label", 1, (), (), (config,))])
    windows = []
    for number, (predicted, batch) in enumerate(batches({"probs": SCORE}, size=50), 1):
        assert number > 2 or metrics.compute() == {}
        metrics.update(predicted, batch)
        if number % 2 == 0:
            rows = slice((number - 2) * 50, number * 50)
            windows.append(accuracy_score(LABEL[rows], SCORE[rows] > 0.5))
    expected = windows[0]
    for window in windows[1:]:
        expected = 0.75 * expected + 0.25 * window
    assert metrics.compute() == {"accuracy": pytest.approx(expected, rel=1e-5)}
