"""Initialisers by name."""

from __future__ import annotations

import pytest
import torch

from recinfer.config.init_fn import INITIALISERS
from recinfer.errors import ConfigError
from recinfer.nn.init_fn import build_init_fn


def fill(text: str) -> torch.Tensor:
    tensor = torch.full((200, 8), 77.0)
    init = build_init_fn(text, "f")
    assert init is not None
    torch.manual_seed(0)
    init(tensor)
    return tensor


def test_values_are_those_of_torch() -> None:
    uniform = fill("nn.init.uniform_,a=-0.25,b=0.5")
    assert -0.25 <= uniform.min() < -0.2 and 0.45 < uniform.max() <= 0.5
    normal = fill("nn.init.normal_, mean=3, std=0.1")
    assert abs(normal.mean() - 3) < 0.02 and abs(normal.std() - 0.1) < 0.01
    assert fill("nn.init.zeros_").abs().sum() == 0
    assert (fill("constant_,val=2.5") == 2.5).all()
    torch.manual_seed(0)
    expected = torch.nn.init.xavier_uniform_(torch.empty(200, 8))
    assert torch.equal(fill("torch.nn.init.xavier_uniform_"), expected)


def test_nothing_for_nothing() -> None:
    assert build_init_fn("", "f") is None


@pytest.mark.parametrize("name", sorted(set(INITIALISERS) - {"constant_"}))
def test_every_known_name_builds(name: str) -> None:
    assert not (fill(f"nn.init.{name}") == 77).any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nn.init.unifrom_", r"'nn\.init\.unifrom_' is unknown: feature 'f'(.|\n)*nn\.init\.uniform_"),
        ("os.system,command=1", "is unknown: feature 'f'"),
        ("nn.init.uniform_,0.1", "'0.1' is not name=number: feature 'f'"),
        ("nn.init.uniform_,a=low", "'a=low' is not name=number"),
        ("nn.init.uniform_,low=0.1", "low.*feature 'f'"),
        ("nn.init.constant_", "val.*feature 'f'"),
    ],
)
def test_errors_name_the_feature(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_init_fn(text, "f")
