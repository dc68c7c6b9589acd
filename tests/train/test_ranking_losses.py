"""Focal and JRC losses against slow obvious versions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from google.protobuf import text_format

from recinfer.models.base import Task
from recinfer.protos.loss_pb2 import LossConfig
from recinfer.train.losses import total_loss
from recinfer.train.ranking_losses import binary_focal, joint_ranking_calibration


def task(text: str, num_class: int = 1, **fields: Any) -> Task:
    loss: Any = text_format.Parse(text, LossConfig())
    return Task("", "label", num_class, (loss,), (), (), **fields)


def test_focal_loss() -> None:
    logits, labels = [0.3, -2.0, 1.5, 4.0], [1, 0, 0, 1]
    total, parts = total_loss(
        [task("binary_focal_loss { gamma: 1.5 alpha: 0.25 }")],
        {"logits": torch.tensor(logits)},
        {"label": torch.tensor(labels)},
        {},
    )
    rows = []
    for logit, label in zip(logits, labels, strict=True):
        p = 1 / (1 + math.exp(-logit))
        right, side = (p, 0.25) if label else (1 - p, 0.75)
        rows.append(-side * (1 - right) ** 1.5 * math.log(right))
    assert float(total) == pytest.approx(sum(rows) / 4, rel=1e-6)
    assert float(parts["binary_focal_loss"]) == pytest.approx(sum(rows) / 4, rel=1e-6)


def test_focal_loss_without_focus_is_half_the_binary_loss() -> None:
    predictions, labels = {"logits": torch.tensor([0.3, -2.0])}, {"label": torch.tensor([1, 1])}
    focal, _ = total_loss([task("binary_focal_loss { gamma: 0 }")], predictions, labels, {})
    plain, _ = total_loss([task("binary_cross_entropy {}")], predictions, labels, {})
    assert float(focal) == pytest.approx(float(plain) / 2, rel=1e-6)


def test_focal_weights_pass_no_gradient() -> None:
    logits, labels = torch.tensor([0.3, -2.0, 1.5], requires_grad=True), torch.tensor([1.0, 0.0, 0.0])
    binary_focal(logits, labels, 2.0, 0.3).sum().backward()
    assert logits.grad is not None
    for place, label in enumerate(labels.tolist()):
        p = 1 / (1 + math.exp(-logits[place].item()))
        weight = 0.3 * (1 - p) ** 2 if label else 0.7 * p**2
        assert float(logits.grad[place]) == pytest.approx(weight * (p - label), rel=1e-5)


def slow_jrc(logits: Any, labels: Any, sessions: Any, alpha: float) -> list[float]:
    rows = []
    for place, (label, session) in enumerate(zip(labels, sessions, strict=True)):
        own = math.exp(logits[place][label])
        calibration = -math.log(own / sum(math.exp(x) for x in logits[place]))
        rivals = [
            math.exp(logits[other][label])
            for other in range(len(labels))
            if sessions[other] == session and labels[other] != label
        ]
        rows.append(alpha * calibration - (1 - alpha) * math.log(own / (own + sum(rivals))))
    return rows


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_jrc_loss(alpha: float) -> None:
    rng = np.random.default_rng(4)
    logits, labels = rng.normal(size=(40, 2)) * 3, rng.integers(0, 2, 40)
    sessions = rng.integers(0, 12, 40) * 1_000_003
    found = joint_ranking_calibration(
        torch.tensor(logits, dtype=torch.float32), torch.tensor(labels), torch.tensor(sessions), alpha
    )
    np.testing.assert_allclose(found.numpy(), slow_jrc(logits, labels, sessions, alpha), rtol=1e-4, atol=1e-5)


def test_jrc_loss_of_large_logits_is_finite_and_has_gradients() -> None:
    logits = torch.tensor([[500.0, -500.0], [-500.0, 500.0], [3.0, 1e4]], requires_grad=True)
    loss = joint_ranking_calibration(logits, torch.tensor([0, 1, 0]), torch.tensor([5, 5, 9]), 0.5)
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_jrc_gradient_is_the_numeric_one() -> None:
    torch.manual_seed(0)
    logits = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    labels, sessions = torch.tensor([0, 1, 1, 0, 1, 0]), torch.tensor([0, 0, 0, 1, 1, 7])
    assert torch.autograd.gradcheck(lambda x: joint_ranking_calibration(x, labels, sessions, 0.4), (logits,))


def test_jrc_sessions_hold_only_rows_of_the_task() -> None:
    logits = torch.tensor([[0.1, 0.5], [1.0, -1.0], [0.3, 2.0]])
    labels = {"label": torch.tensor([1, 0, 1]), "domain": torch.tensor([2, 2, 3])}
    found, parts = total_loss(
        [task('jrc_loss { session_name: "user" alpha: 0.2 }', 2, only_where=("domain", 2))],
        {"logits": logits},
        labels,
        {},
        {"user": torch.tensor([4, 4, 4])},
    )
    assert float(found) == pytest.approx(sum(slow_jrc(logits[:2].tolist(), [1, 0], [4, 4], 0.2)) / 2, rel=1e-5)
    assert set(parts) == {"jrc_loss"}
