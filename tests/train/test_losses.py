"""Losses against slow obvious versions."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from google.protobuf import text_format

from recinfer.errors import BadRowError, ConfigError
from recinfer.models.base import Task
from recinfer.protos.loss_pb2 import LossConfig
from recinfer.train.losses import check_label_values, check_losses, total_loss


def task(text: str, name: str = "", num_class: int = 1, weight: float = 1.0) -> Task:
    loss: Any = text_format.Parse(text, LossConfig())
    return Task(name, "label", num_class, (loss,), (), (), weight)


def binary(logit: float, target: float) -> float:
    p = 1 / (1 + math.exp(-logit))
    return -(target * math.log(p) + (1 - target) * math.log(1 - p))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_binary_cross_entropy(smoothing: float) -> None:
    logits, labels = [0.3, -2.0, 1.5], [1, 0, 0]
    total, parts = total_loss(
        [task(f"binary_cross_entropy {{ label_smoothing: {smoothing} }}")],
        {"logits": torch.tensor(logits)},
        {"label": torch.tensor(labels)},
        {},
    )
    expected = sum(binary(x, y * (1 - smoothing) + smoothing / 2) for x, y in zip(logits, labels, strict=True)) / 3
    assert float(total) == pytest.approx(expected, rel=1e-6)
    assert float(parts["binary_cross_entropy"]) == pytest.approx(expected, rel=1e-6)


def test_softmax_of_two_classes_is_the_binary_loss() -> None:
    logits = torch.tensor([[0.2, 1.0], [3.0, -1.0]])
    labels = {"label": torch.tensor([1, 0])}
    softmax, _ = total_loss(
        [task("softmax_cross_entropy { label_smoothing: 0.1 }", num_class=2)], {"logits": logits}, labels, {}
    )
    two, _ = total_loss(
        [task("binary_cross_entropy { label_smoothing: 0.1 }")], {"logits": logits[:, 1] - logits[:, 0]}, labels, {}
    )
    assert float(softmax) == pytest.approx(float(two), rel=1e-6)


def test_task_and_sample_weights() -> None:
    tasks = [task("l2_loss {}", "a", weight=2.0), task("l2_loss {}", "b", weight=0.5)]
    predictions = {"y_a": torch.tensor([1.0, 2.0]), "y_b": torch.tensor([0.0, 4.0])}
    total, parts = total_loss(tasks, predictions, {"label": torch.tensor([0.0, 0.0])}, {"w": torch.tensor([3.0, 1.0])})
    # Weights over their mean: 1.5 and 0.5.
    assert float(parts["l2_loss_a"]) == pytest.approx((1 * 1.5 + 4 * 0.5) / 2)
    assert float(parts["l2_loss_b"]) == pytest.approx((0 * 1.5 + 16 * 0.5) / 2)
    assert float(total) == pytest.approx(2.0 * 1.75 + 0.5 * 4.0)


def test_losses_of_other_models_are_config_errors() -> None:
    with pytest.raises(ConfigError, match="is not supported"):
        check_losses([task("commitment_loss {}")])


def test_losses_that_do_not_fit_their_classes() -> None:
    check_losses([task("softmax_cross_entropy {}", num_class=3), task("binary_cross_entropy {}")])
    jrc = 'jrc_loss { session_name: "user" }'
    check_losses([task("binary_focal_loss {}"), task(jrc, num_class=2)])
    for wrong in (
        task("softmax_cross_entropy {}"),
        task("binary_cross_entropy {}", num_class=2),
        task("binary_focal_loss {}", num_class=2),
        task(jrc),
    ):
        with pytest.raises(ConfigError, match="num_class"):
            check_losses([wrong])


def test_impossible_options_are_config_errors() -> None:
    for wrong in (
        task("binary_cross_entropy { label_smoothing: 1.5 }"),
        task("binary_focal_loss { gamma: -1 }"),
        task("binary_focal_loss { alpha: 2 }"),
        task('jrc_loss { session_name: "user" alpha: -0.5 }', num_class=2),
    ):
        with pytest.raises(ConfigError, match=r"label_smoothing|gamma|alpha"):
            check_losses([wrong])


def test_impossible_labels_are_bad_rows() -> None:
    check_label_values([task("l2_loss {}")], {"label": torch.tensor([7.5])})
    check_label_values([task("softmax_cross_entropy {}", num_class=3)], {"label": torch.tensor([0, 2])})
    for label in (torch.tensor([0, 4]), torch.tensor([-1.0, 1.0])):
        with pytest.raises(BadRowError, match=r"'label' holds (4|-1)"):
            check_label_values([task("binary_cross_entropy {}")], {"label": label})


def test_a_single_task_takes_the_first_weights_and_a_tower_only_those_it_names() -> None:
    weights = {"a": torch.tensor([3.0, 1.0]), "b": torch.tensor([0.0, 1.0])}
    labels, predictions = {"label": torch.zeros(2)}, {"y": torch.tensor([1.0, 2.0])}
    total, _ = total_loss([task("l2_loss {}")], predictions, labels, weights)
    assert float(total) == pytest.approx((3 * 1 + 1 * 4) / 4)
    total, _ = total_loss([replace(task("l2_loss {}"), sample_weight=None)], predictions, labels, weights)
    assert float(total) == pytest.approx((1 + 4) / 2)
