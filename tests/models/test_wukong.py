"""Wukong."""

from __future__ import annotations

from pathlib import Path

import pytest

from recinfer.errors import ConfigError
from tests.models.parity import check_golden, check_learns, check_scripted
from tests.models.test_dlrm import DENSE, SPARSE
from tests.synthetic import config_of, model_of

LAYER = """wukong_layers {
  lcb_feature_num: 2 fmb_feature_num: 3 compressed_feature_num: 2 feature_num_mlp { hidden_units: 6 activation: "Dice" }
}"""
TEXT = f"wukong {{ dense_mlp {{ hidden_units: 8 }} {LAYER} {LAYER} final {{ hidden_units: 4 }} }}"


@pytest.mark.parametrize("name", ["wukong_criteo", "wukong_criteo_v1"])
def test_golden(shared: Path, name: str) -> None:
    check_golden(shared, name)


@pytest.mark.parametrize("groups", [SPARSE + DENSE, SPARSE])
def test_scripted_and_learns(groups: str) -> None:
    model, features = model_of(config_of(groups + TEXT))
    check_scripted(model, features)
    check_learns(model, features)


def test_a_layer_that_keeps_the_count_needs_no_projection() -> None:
    model, _ = model_of(config_of(SPARSE + DENSE + TEXT))
    # Four embeddings and the dense vector are five, as many as each layer makes.
    assert not [name for name in model.state_dict() if "residual_projection" in name]


def test_no_layers() -> None:
    with pytest.raises(ConfigError, match="no wukong_layers"):
        model_of(config_of(SPARSE + "wukong { final { hidden_units: 4 } }"))
