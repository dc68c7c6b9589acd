"""What tasks say of their rows, and what models add to the loss, against sums done by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from google.protobuf import text_format

from recinfer.errors import BadRowError, ConfigError
from recinfer.models.base import Task
from recinfer.protos.loss_pb2 import LossConfig
from recinfer.protos.metric_pb2 import MetricConfig
from recinfer.train.batches import Batch
from recinfer.train.losses import check_label_values, total_loss
from recinfer.train.metrics import Metrics
from recinfer.train.task_columns import grouping_columns, label_columns


def squared(name: str = "", **fields: Any) -> Task:
    loss: Any = text_format.Parse("l2_loss {}", LossConfig())
    return replace(Task(name, "label", 1, (loss,), (), ()), **fields)


# Squared errors 1, 4, 9, 16 against labels of 0.
Y = torch.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
LABELS = {"label": torch.zeros(4), "click": torch.tensor([1, 0, 2, 0]), "domain": torch.tensor([0, 1, 1, 2])}


def loss_of(task: Task, weights: dict[str, Any] | None = None) -> float:
    tensors = {name: torch.tensor(values) for name, values in (weights or {}).items()}
    total, parts = total_loss([task], {f"y{task.suffix}": Y}, LABELS, tensors)
    assert float(parts[f"l2_loss{task.suffix}"]) * task.weight == pytest.approx(float(total.detach()))
    return float(total.detach())


def test_each_task_takes_the_weights_that_it_names() -> None:
    weights = {"a": [1.0, 0.0, 0.0, 3.0], "b": [0.0, 2.0, 2.0, 0.0]}
    assert loss_of(squared(sample_weight="a"), weights) == pytest.approx((1 + 3 * 16) / 4)
    assert loss_of(squared(sample_weight="b"), weights) == pytest.approx((4 + 9) / 2)
    with pytest.raises(ConfigError, match="'c', which is no sample weight"):
        loss_of(squared("ctr", sample_weight="c"), weights)


def test_task_space() -> None:
    task = squared("cvr", task_space="click", in_task_space_weight=1.0, out_task_space_weight=0.0, weight=2.0)
    assert loss_of(task) == pytest.approx(2 * (1 + 9) / 2)
    task = squared(task_space="click", in_task_space_weight=3.0, out_task_space_weight=0.5)
    assert loss_of(task) == pytest.approx((3 * 1 + 0.5 * 4 + 3 * 9 + 0.5 * 16) / 7)
    # Times the sample weights.
    factors = [3 * 1.0, 0.5 * 2.0, 3 * 0.5, 0.5 * 4.0]
    expected = sum(f * e for f, e in zip(factors, (1, 4, 9, 16), strict=True)) / sum(factors)
    assert loss_of(task, {"w": [1.0, 2.0, 0.5, 4.0]}) == pytest.approx(expected)


def test_rows_of_another_domain_take_no_part() -> None:
    assert loss_of(squared(only_where=("domain", 1))) == pytest.approx((4 + 9) / 2)
    weighted = squared(only_where=("domain", 1), task_space="click", out_task_space_weight=0.25)
    assert loss_of(weighted) == pytest.approx((0.25 * 4 + 1 * 9) / 1.25)
    assert loss_of(weighted, {"w": [9.0, 4.0, 1.0, 9.0]}) == pytest.approx((1 * 4 + 1 * 9) / 2)


@pytest.mark.parametrize(
    "task",
    [
        squared(only_where=("domain", 7)),
        squared(task_space="label", out_task_space_weight=0.0),
    ],
)
def test_a_batch_without_rows_of_a_task_teaches_it_nothing(task: Task) -> None:
    Y.grad = None
    total, _ = total_loss([task], {"y": Y}, LABELS, {})
    total.backward()
    assert float(total.detach()) == 0.0
    assert Y.grad is not None
    assert Y.grad.tolist() == [0.0] * 4


def test_labels_of_other_domains_may_be_anything() -> None:
    loss: Any = text_format.Parse("binary_cross_entropy {}", LossConfig())
    task = Task("ctr_1", "label", 1, (loss,), (), (), only_where=("domain", 1))
    labels = {"label": torch.tensor([-1, 0, 1, 5]), "domain": LABELS["domain"]}
    check_label_values([task], labels)
    total, _ = total_loss([task], {"logits_ctr_1": torch.zeros(4)}, labels, {})
    assert float(total) == pytest.approx(0.6931472)
    with pytest.raises(BadRowError, match="'label' holds -1"):
        check_label_values([replace(task, only_where=("domain", 0))], labels)


def test_losses_of_the_model_are_added() -> None:
    predictions = {"y": Y, "loss/penalty": torch.tensor(0.75), "loss/hint": torch.tensor([1.0, 2.0, 3.0, 4.0])}
    total, parts = total_loss([squared(weight=2.0)], predictions, LABELS, {})
    assert float(total.detach()) == pytest.approx(2.0 * 7.5 + 0.75 + 2.5)
    assert {name: float(part) for name, part in parts.items()} == {"l2_loss": 7.5, "penalty": 0.75, "hint": 2.5}
    _, parts = total_loss([squared()], predictions, LABELS, {"w": torch.tensor([3.0, 1.0, 0.0, 0.0])})
    assert float(parts["hint"]) == pytest.approx((3 * 1 + 1 * 2) / 4)
    assert float(parts["penalty"]) == 0.75


def test_metrics_see_only_the_rows_of_their_domain() -> None:
    metric: Any = text_format.Parse("mean_squared_error {}", MetricConfig())
    tasks = [squared(f"m_{domain}", only_where=("domain", domain), metrics=(metric,)) for domain in range(4)]
    metrics = Metrics(tasks)
    metrics.update({f"y{task.suffix}": Y for task in tasks}, Batch({}, LABELS, {}, {}, 4))
    found = metrics.compute()
    assert [found[f"mean_squared_error_m_{domain}"] for domain in range(3)] == [1.0, 6.5, 16.0]
    assert found["mean_squared_error_m_3"] != found["mean_squared_error_m_3"]


def test_columns_that_tasks_name() -> None:
    jrc: Any = text_format.Parse('jrc_loss { session_name: "session" }', LossConfig())
    grouped: Any = text_format.Parse('grouped_auc { grouping_key: "user" }', MetricConfig())
    tasks = [
        squared("a", task_space="click"),
        squared("b", only_where=("domain", 1), losses=(jrc,), metrics=(grouped,)),
    ]
    assert label_columns(tasks) == ("label", "click", "domain")
    assert grouping_columns(tasks) == ("user", "session")
