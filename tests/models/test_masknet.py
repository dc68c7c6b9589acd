"""MaskNet."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models.parity import check_golden, check_learns, check_scripted
from tests.synthetic import config_of, model_of

BLOCK = "n_mask_blocks: 3 mask_block { reduction_ratio: 0.5 hidden_dim: 6 }"
SIDE_BY_SIDE = f"mask_net {{ mask_net_module {{ {BLOCK} top_mlp {{ hidden_units: 5 }} }} }}"
CHAIN = f"mask_net {{ mask_net_module {{ {BLOCK} use_parallel: false }} }}"


def test_golden(shared: Path) -> None:
    check_golden(shared, "masknet_criteo")


@pytest.mark.parametrize("text", [SIDE_BY_SIDE, CHAIN])
def test_scripted_and_learns(text: str) -> None:
    model, features = model_of(config_of(text, groups=["deep"]))
    check_scripted(model, features)
    check_learns(model, features)
