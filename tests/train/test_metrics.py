"""Metrics against scikit-learn and slow obvious versions."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
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
from recinfer.train.pair_metrics import XAUC, GroupedXAUC, pairs_in_order
from recinfer.train.ranking_metrics import NormalizedEntropy, RecallAtK, group_aucs
from recinfer.train.train_metrics import TrainMetrics

RNG = np.random.default_rng(0)
LABEL = RNG.integers(0, 2, 400)
SCORE = np.clip(RNG.uniform(size=400) * 0.7 + LABEL * 0.3, 0, 1).astype(np.float32)
GROUP = RNG.integers(0, 25, 400)


def task(*metrics: str, name: str = "", num_class: int = 1, loss: str = "binary_cross_entropy {}") -> Task:
    return Task(name, "label", num_class, (text_format.Parse(loss, LossConfig()),), _metrics(*metrics), ())


def _metrics(*texts: str) -> tuple[Any, ...]:
    return tuple(text_format.Parse(text, MetricConfig()) for text in texts)


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
    found = measure([task("normalized_entropy { eta: 1e-9 }")], {"probs": score})
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
    assert measure([replace(many, metrics=_metrics("recall_at_k { top_k: 2 }"))], {"probs": probs}, label) == {
        "recall@2": pytest.approx(found["accuracy"])
    }
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


def in_order(scores: Any, labels: Any) -> list[bool]:
    """For each pair, one by one, whether scores and labels differ alike."""
    rows = zip(scores.tolist(), labels.tolist(), strict=True)
    return [(s - t) * (a - b) > 0 for (s, a), (t, b) in combinations(rows, 2)]


def test_xauc_against_pairs() -> None:
    amounts = np.round(SCORE * 20 + RNG.normal(size=400) * 3).astype(np.float32)
    scores = np.round(SCORE, 1)
    texts = ("xauc {}", "mean_absolute_error {}", 'grouped_xauc { grouping_key: "user" }')
    found = measure([task(*texts, loss="l2_loss {}")], {"y": scores}, amounts)
    assert found["xauc"] == pytest.approx(np.mean(in_order(scores, amounts)))
    shares = {g: np.mean(in_order(scores[g == GROUP], amounts[g == GROUP])) for g in range(25)}
    sizes = [float((g == GROUP).sum()) for g in shares]
    assert found["grouped_xauc"] == pytest.approx(np.average(list(shares.values()), weights=sizes))
    within = measure([task("xauc { in_batch: true }", loss="l2_loss {}")], {"y": scores}, amounts)
    parts = [slice(start, start + 150) for start in (0, 150, 300)]
    assert within["xauc"] == pytest.approx(np.mean([np.mean(in_order(scores[p], amounts[p])) for p in parts]))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(-3, 9), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_pairs_in_order_against_pairs(rows: list[tuple[int, int, int]]) -> None:
    scores, labels, groups = (np.array(column) for column in zip(*rows, strict=True))
    expected = [in_order(scores[groups == group], labels[groups == group]) for group in sorted(set(groups))]
    ordered, pairs = pairs_in_order(scores.astype(float), labels.astype(float), groups)
    assert ordered.tolist() == [sum(group) for group in expected]
    assert pairs.tolist() == [len(group) for group in expected]


def test_xauc_without_pairs_is_nan() -> None:
    metrics = (XAUC(), XAUC(in_batch=True), GroupedXAUC())
    one = torch.ones(1)
    for metric in metrics:
        assert math.isnan(metric.compute())
        metric.update(*([one, one, one.long()] if isinstance(metric, GroupedXAUC) else [one, one]))
        assert math.isnan(metric.compute())
    xauc = XAUC()
    xauc.update(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 5.0, 4.0]))
    assert xauc.compute() == pytest.approx(2 / 3)
    xauc.reset()
    assert math.isnan(xauc.compute())


def test_recall_of_several_candidates() -> None:
    recall = RecallAtK(2)
    scores = torch.tensor([[0.9, 0.1, 0.5, 0.4], [0.1, 0.2, 0.3, 0.4]])
    recall.update(scores, torch.tensor([[True, True, False, True], [False, False, False, True]]))
    assert recall.compute() == pytest.approx(2 / 4)
    recall.update(scores, torch.tensor([2, 0]))
    assert recall.compute() == pytest.approx(3 / 6)
    recall.reset()
    assert math.isnan(recall.compute())


def test_sure_and_wrong_scores_cost_a_hundred() -> None:
    metric = NormalizedEntropy()
    metric.update(torch.tensor([0.0, 1.0]), torch.tensor([1, 1]))
    metric.update(torch.tensor([0.5, 0.5]), torch.tensor([0, 0]))
    assert metric.compute() == pytest.approx((100 + 2 * math.log(2)) / (4 * math.log(2)))


def test_undefined_is_nan() -> None:
    ones = np.ones_like(LABEL)
    found = measure(
        [task("auc {}", 'grouped_auc { grouping_key: "user" }', "normalized_entropy {}")], {"probs": SCORE}, ones
    )
    assert len(found) == 3
    assert all(math.isnan(value) for value in found.values())


@pytest.mark.parametrize(
    "text",
    [
        "recall_at_k {}",
        "multiclass_auc {}",
        "grouped_auc {}",
        "grouped_xauc {}",
        "auc { thresholds: 1 }",
        "xauc { sample_ratio: 0 }",
    ],
)
def test_metrics_that_do_not_run_are_config_errors(text: str) -> None:
    with pytest.raises(ConfigError):
        Metrics([task(text)])


def test_grouping_columns() -> None:
    assert grouping_columns(
        [task('grouped_auc { grouping_key: "b" }', "auc {}"), task('grouped_xauc { grouping_key: "a" }')]
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


def test_train_auc_averages_counts_of_windows() -> None:
    """By hand: every row of a window counts by the window's weight, so the AUC is one of weighted rows."""
    config: Any = text_format.Parse("auc { thresholds: 3000 } decay_rate: 0.6 decay_step: 2", TrainMetricConfig())
    metrics = TrainMetrics([Task("ctr", "label", 1, (), (), (config,))])
    # The second window has a single label, and yet its rows count.
    label = np.where((np.arange(400) >= 100) & (np.arange(400) < 200), 1, LABEL)
    weight = np.repeat([0.6**3, 0.4 * 0.6**2, 0.4 * 0.6, 0.4], 100)
    for predicted, batch in batches({"probs_ctr": SCORE}, label, size=50):
        metrics.update(predicted, batch)
    expected = roc_auc_score(label, SCORE, sample_weight=weight)
    assert metrics.compute() == {"auc_ctr": pytest.approx(expected, abs=1e-3)}
    only_ones = TrainMetrics([Task("ctr", "label", 1, (), (), (config,))])
    for predicted, batch in batches({"probs_ctr": SCORE}, np.ones_like(LABEL), size=50):
        only_ones.update(predicted, batch)
    assert only_ones.compute() == {}


def test_train_metrics_of_amounts() -> None:
    text = "xauc {} decay_rate: 0.5 decay_step: 1", "mean_squared_error {} decay_rate: 0.5 decay_step: 1"
    configs: Any = tuple(text_format.Parse(each, TrainMetricConfig()) for each in text)
    metrics = TrainMetrics([replace(task(loss="l2_loss {}"), train_metrics=configs)])
    amounts = SCORE * 3 + RNG.normal(size=400).astype(np.float32)
    for predicted, batch in batches({"y": SCORE}, amounts, size=200):
        metrics.update(predicted, batch)
    halves = [(SCORE[p], amounts[p]) for p in (slice(0, 200), slice(200, 400))]
    assert metrics.compute() == {
        "xauc": pytest.approx(np.mean([np.mean(in_order(*half)) for half in halves])),
        "mean_squared_error": pytest.approx(np.mean([np.square(s - a).mean() for s, a in halves]), rel=1e-5),
    }
