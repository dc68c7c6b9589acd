"""Lengths that do not fit their values are refused, and others are not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from recinfer.data.parser import Tensors
from recinfer.errors import ModelError
from recinfer.features.base import Feature
from recinfer.features.example import example_batch, ragged_batch
from recinfer.predict.length_check import LengthCheck
from tests.synthetic import config_of, model_of


@pytest.fixture(scope="module")
def features() -> list[Feature]:
    return model_of(config_of("multi_tower_din"))[1]


def moved(key: str, more: int) -> Callable[[Tensors], object]:
    return lambda batch: batch[key][0].add_(more)


def cut(key: str) -> Callable[[Tensors], object]:
    return lambda batch: batch.update({key: batch[key][:-1]})


def negative(batch: Tensors) -> None:
    batch["user_id.lengths"][0] -= 5
    batch["user_id.lengths"][1] += 5


def test_good_batches_pass(features: list[Feature]) -> None:
    for batch in (ragged_batch(features, 7, longest=4, seed=1), example_batch(features, 2, steps=2)):
        LengthCheck(features).refuse_misfits(batch)
    LengthCheck(features).refuse_misfits(ragged_batch(features, 3, longest=0, seed=1))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (moved("user_id.lengths", 1), r"user_id\.lengths add up to"),
        (moved("history__genres.key_lengths", -1), r"history__genres\.key_lengths add up to"),
        (moved("history__movie_id.lengths", 2), r"history__movie_id\.lengths add up to"),
        (cut("history__genres.values"), r"history__genres\.key_lengths add up to (\d+), and there are"),
        (cut("history__mood.values"), r"history__mood\.lengths add up to"),
        (negative, r"user_id\.lengths hold a negative one"),
    ],
)
def test_misfits_are_refused(spoil: Callable[[Tensors], object], says: str, features: list[Feature]) -> None:
    batch = {key: each.clone() for key, each in ragged_batch(features, 6, longest=4, seed=2).items()}
    spoil(batch)
    with pytest.raises(ModelError, match=says):
        LengthCheck(features).refuse_misfits(batch)


def test_lengths_of_unequal_numbers_are_told_apart(features: list[Feature]) -> None:
    # As exports with user-side features once per user take them.
    batch = ragged_batch(features, 6, longest=4, seed=2)
    batch |= {"user_id.values": torch.zeros(2).long(), "user_id.lengths": torch.ones(2, dtype=torch.int32)}
    LengthCheck(features).refuse_misfits(batch)
