"""xDeepFM."""

from __future__ import annotations

from pathlib import Path

import pytest

from recinfer.errors import ConfigError
from tests.models.parity import check_golden, check_learns, check_scripted
from tests.synthetic import config_of, model_of

TEXT = "xdeepfm { cin { cin_layer_size: [5, 3] } deep { hidden_units: 8 use_bn: true } final { hidden_units: 4 } }"


def test_golden(shared: Path) -> None:
    # Logits of up to 20,000 are sums that cancel: float64 misses some of these float32 values by more than 1e-5, too.
    check_golden(shared, "xdeepfm_criteo", ill_conditioned=["logits"])


def test_scripted() -> None:
    check_scripted(*model_of(config_of(TEXT, groups=["wide", "deep"])))


def test_learns() -> None:
    check_learns(*model_of(config_of(TEXT, groups=["wide", "deep"])))


def test_wide_tables_have_the_width_of_the_config() -> None:
    model, _ = model_of(config_of(TEXT, groups=["wide", "deep"]))
    assert model.embedding_group.dims("wide") == [16] * 5


def test_missing_group() -> None:
    with pytest.raises(ConfigError, match="'wide', which is not a deep or wide one"):
        model_of(config_of(TEXT, groups=["deep"]))
