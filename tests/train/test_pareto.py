"""Weights of Pareto efficiency against searches by hand, and in training."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from recinfer.errors import ConfigError
from recinfer.models.base import Task
from recinfer.protos.loss_pb2 import LossConfig
from recinfer.train.losses import total_loss
from recinfer.train.pareto import ParetoWeights, nearest_on_simplex, pareto_weights


def task(name: str, least: float = 0.0, losses: int = 1, weight: float = 1.0) -> Task:
    loss: Any = text_format.Parse("l2_loss {}", LossConfig())
    return Task(name, "label", 1, (loss,) * losses, (), (), weight, pareto_min_loss_weight=least)


def shortest(gradients: Any, least: Any, steps: int = 400) -> Any:
    """By search: the two or three weights of the shortest sum of gradients."""
    free = 1 - sum(least)
    grids = product(np.linspace(0, free, steps + 1), repeat=len(least) - 1)
    points = [np.array([*part, free - sum(part)]) + least for part in grids if sum(part) <= free + 1e-9]
    return min(points, key=lambda weights: np.linalg.norm(weights @ gradients))


@pytest.mark.parametrize("least", [[0.0, 0.0], [0.2, 0.1], [0.0, 0.7]])
def test_two_losses_against_a_search(least: list[float]) -> None:
    rng = np.random.default_rng(3)
    for _ in range(10):
        gradients = rng.normal(size=(2, 6)) * [[1.0], [3.0]]
        found = pareto_weights(gradients @ gradients.T, np.array(least))
        assert found.sum() == pytest.approx(1)
        np.testing.assert_allclose(found, shortest(gradients, least), atol=0.005)


def test_three_losses_within_the_simplex_against_a_search() -> None:
    gradients = np.random.default_rng(5).normal(size=(3, 40))
    found = pareto_weights(gradients @ gradients.T, np.array([0.1, 0.0, 0.2]))
    assert (found > [0.1, 0.0, 0.2]).all()
    np.testing.assert_allclose(found, shortest(gradients, [0.1, 0.0, 0.2], 200), atol=0.01)


def test_orthogonal_gradients_weigh_by_the_inverse_square_of_their_length() -> None:
    for size in (1.0, 1e-12, 1e12):
        products = np.diag([1.0, 4.0, 16.0]) * size
        np.testing.assert_allclose(pareto_weights(products, np.zeros(3)), np.array([16, 4, 1]) / 21, rtol=1e-9)


def test_losses_that_nothing_tells_apart_share_alike() -> None:
    least = np.array([0.4, 0.0])
    for products in (np.zeros((2, 2)), np.full((2, 2), np.inf), np.full((2, 2), np.nan)):
        np.testing.assert_allclose(pareto_weights(products, least), [0.7, 0.3])
    np.testing.assert_allclose(pareto_weights(np.ones((2, 2)), np.zeros(2)), [0.5, 0.5])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-4, 4), min_size=2, max_size=2), st.floats(0.05, 1))
def test_nearest_point_of_two_against_a_search(point: list[float], total: float) -> None:
    candidates = [np.array([first, total - first]) for first in np.linspace(0, total, 2001)]
    best = min(candidates, key=lambda candidate: np.linalg.norm(candidate - point))
    np.testing.assert_allclose(nearest_on_simplex(np.array(point), total), best, atol=total / 1500)


def test_the_gradient_of_the_weighted_loss_is_the_shortest() -> None:
    torch.manual_seed(1)
    shared, one, two = nn.Linear(4, 3), nn.Linear(3, 1), nn.Linear(3, 1)
    parameters = [*shared.parameters(), *one.parameters(), *two.parameters()]
    features = torch.randn(8, 4)
    hidden = torch.relu(shared(features))
    predictions = {"y_a": one(hidden).squeeze(1), "y_b": two(hidden).squeeze(1)}
    labels = {"label": torch.randn(8)}
    tasks = [task("a", 0.1, weight=2.0), task("b")]
    total, parts = total_loss(tasks, predictions, labels, {}, {}, ParetoWeights(tasks, parameters))
    losses = [w * (predictions[f"y_{name}"] - labels["label"]).square().mean() for name, w in (("a", 2.0), ("b", 1.0))]
    rows = [torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True) for loss in losses]
    gradients = np.array(
        [
            np.concatenate(
                [np.zeros(p.numel()) if g is None else g.numpy().ravel() for p, g in zip(parameters, row, strict=True)]
            )
            for row in rows
        ]
    )
    weights = shortest(gradients, [0.1, 0.0], 4000)
    expected = sum(w * float(loss.detach()) for w, loss in zip(weights, losses, strict=True))
    assert float(total.detach()) == pytest.approx(expected, rel=1e-3)
    assert float(parts["l2_loss_a"]) == pytest.approx(float(losses[0].detach()) / 2, rel=1e-5)
    total.backward()
    assert all(parameter.grad is not None for parameter in parameters)


def test_weights_do_not_depend_on_the_scale_of_a_scaler() -> None:
    parameter = nn.Parameter(torch.tensor([1.0, -2.0]))
    losses = [parameter.square().sum(), (parameter - 3).abs().sum(), torch.zeros(())]
    weigh = ParetoWeights([task(name) for name in "abc"], [parameter])
    assert weigh(losses, lambda loss: loss * 65536) == pytest.approx(weigh(losses), rel=1e-6)


@pytest.mark.parametrize("tasks", [[task("a", 0.6), task("b", 0.4)], [task("a", 0.5, losses=2)], [task("a", -0.1)]])
def test_impossible_least_weights_are_config_errors(tasks: list[Task]) -> None:
    with pytest.raises(ConfigError, match="pareto_min_loss_weight"):
        ParetoWeights(tasks, [])
