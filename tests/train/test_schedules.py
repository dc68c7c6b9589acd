"""Schedules against closed forms."""

from __future__ import annotations

import math
from typing import Any

import pytest
from google.protobuf import text_format

from recinfer.errors import ConfigError
from recinfer.protos.dense_optimizer_pb2 import DenseOptimizer
from recinfer.train.schedules import Schedule, build_schedule


def schedule(text: str, base: float = 0.5) -> Schedule:
    message: Any = text_format.Parse(text, DenseOptimizer())
    return build_schedule(message, base, "dense_optimizer")


def test_constant_and_absent() -> None:
    for text in ("constant_learning_rate {}", ""):
        assert [schedule(text).at(step, 0) for step in (0, 1, 10**6)] == [0.5] * 3


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 0.1), (5, 0.3), (10, 0.5), (13, 0.5), (14, 0.25), (18, 0.125), (60, 0.03)]
)
def test_exponential_staircase_with_warmup_and_floor(step: int, rate: float) -> None:
    text = (
        "exponential_decay_learning_rate { decay_size: 4 decay_factor: 0.5 warmup_learning_rate: 0.1 warmup_size: 10 "
        "min_learning_rate: 0.03 }"
    )
    assert schedule(text).at(step, 0) == pytest.approx(rate, rel=1e-6)


def test_a_rate_of_zero_stays_through_warmup_and_floor() -> None:
    options = "decay_size: 4 warmup_learning_rate: 0.1 warmup_size: 2 min_learning_rate: 1"
    text = f"exponential_decay_learning_rate {{ {options} }}"
    assert [schedule(text, 0.0).at(step, 0) for step in (0, 1, 5)] == [0.0] * 3


def test_exponential_without_staircase() -> None:
    smooth = schedule("exponential_decay_learning_rate { decay_size: 4 decay_factor: 0.5 staircase: false }")
    assert [smooth.at(step, 0) for step in range(9)] == pytest.approx([0.5 * 2 ** (-step / 4) for step in range(9)])


def test_by_epoch_counts_epochs() -> None:
    rate = schedule("exponential_decay_learning_rate { decay_size: 1 decay_factor: 0.1 by_epoch: true }")
    assert rate.at(1000, 0) == 0.5
    assert rate.at(0, 2) == pytest.approx(0.005)


@pytest.mark.parametrize("warmup", [False, True])
def test_manual_steps(warmup: bool) -> None:
    text = (
        "manual_step_learning_rate { schedule_sizes: 10 schedule_sizes: 20 learning_rates: 0.3 learning_rates: 0.1 "
        f"warmup: {str(warmup).lower()} }}"
    )
    rates = schedule(text)
    assert rates.at(5, 0) == pytest.approx(0.4 if warmup else 0.5)
    # TorchEasyRec changes the rate after that many counts, not with the last of them.
    assert rates.at(10, 0) == pytest.approx(0.3 if warmup else 0.5)
    assert [rates.at(step, 0) for step in (11, 20, 21, 10**5)] == pytest.approx([0.3, 0.3, 0.1, 0.1])


def test_cosine_annealing_stays_at_its_floor() -> None:
    rates = schedule("cosine_annealing_learning_rate { T_max: 8 min_learning_rate: 0.1 warmup_size: 2 }")
    assert rates.at(1, 0) == pytest.approx(0.25)
    for step in range(2, 10):
        assert rates.at(step, 0) == pytest.approx(0.1 + 0.2 * (1 + math.cos(math.pi * (step - 2) / 8)), rel=1e-6)
    assert rates.at(100, 0) == pytest.approx(0.1)


@pytest.mark.parametrize("growth", [1, 2])
def test_cosine_warm_restarts_against_a_walk(growth: int) -> None:
    rates = schedule(
        f"cosine_annealing_warm_restarts_learning_rate {{ T_0: 3 T_mult: {growth} min_learning_rate: 0.1 }}"
    )
    inside, period = 0, 3
    for step in range(40):
        assert rates.at(step, 0) == pytest.approx(0.1 + 0.2 * (1 + math.cos(math.pi * inside / period)), rel=1e-6)
        inside += 1
        if inside == period:
            inside, period = 0, period * growth


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("exponential_decay_learning_rate {}", "decay_size"),
        ("cosine_annealing_learning_rate {}", "T_max"),
        ("cosine_annealing_warm_restarts_learning_rate {}", "T_0"),
        ("manual_step_learning_rate { schedule_sizes: 1 }", "schedule_sizes"),
        (
            "manual_step_learning_rate { schedule_sizes: 5 schedule_sizes: 2 learning_rates: 1 learning_rates: 1 }",
            "grow",
        ),
    ],
)
def test_impossible_schedules_are_config_errors(text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        schedule(text)
