"""Deep & Cross Network, both versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from recinfer.errors import ConfigError
from tests.models.parity import check_golden, check_learns, check_scripted
from tests.synthetic import config_of, model_of

V1 = "dcn_v1 { cross { cross_num: 2 } deep { hidden_units: 6 } final { hidden_units: 4 } }"
V2 = """dcn_v2 {
  backbone { hidden_units: 6 activation: "nn.SiLU" } cross { cross_num: 2 low_rank: 3 } deep { hidden_units: 5 }
  final { hidden_units: 4 }
}"""
V2_BARE = "dcn_v2 { cross { cross_num: 1 low_rank: 2 } final { hidden_units: 4 } }"


@pytest.mark.parametrize("name", ["dcn_v1_criteo", "dcn_v2_criteo", "dcn_v2_criteo_v1"])
def test_golden(shared: Path, name: str) -> None:
    check_golden(shared, name)


@pytest.mark.parametrize("text", [V1, V2, V2_BARE])
def test_scripted_and_learns(text: str) -> None:
    model, features = model_of(config_of(text, groups=["deep"]))
    check_scripted(model, features)
    check_learns(model, features)


@pytest.mark.parametrize("text", [V1, V2])
def test_without_a_group(text: str) -> None:
    with pytest.raises(ConfigError, match="no feature_groups"):
        model_of(config_of(text))


def test_on_a_sequence_group() -> None:
    with pytest.raises(ConfigError, match=r"'seq', which is not a deep or wide one\n.*seq \(SEQUENCE\)"):
        model_of(config_of(V1, groups=["seq", "deep"]))
