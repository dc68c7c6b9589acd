"""Batches of zero rows: a rank that has run out of rows takes part with them."""

from __future__ import annotations

from pathlib import Path

import make_taobao
import pytest
import torch

from recinfer.config.load import load_pipeline_config
from recinfer.data.parser import Parser
from recinfer.features import build_features
from recinfer.features.used import used_features
from recinfer.models import build_model
from tests.configs import movielens_rows
from tests.synthetic import FEATURES, config_of, make_table, model_of

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*/*.config"))
ROWS = {"movielens": movielens_rows.make_table, "taobao": make_taobao.make_table}
ZERO_COLLISION = FEATURES.replace("hash_bucket_size: 50", "zch { zch_size: 50 eviction_interval: 2 lfu {} }")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_model_scores_no_rows(path: Path) -> None:
    config = load_pipeline_config(path)
    features = build_features(config)
    model = build_model(config, features).eval()
    parser = Parser(used_features(config, features), for_model=True)
    table = ROWS[path.parent.name](600, 0)
    with torch.no_grad():
        some, none = model(parser(table.slice(0, 3))), model(parser(table.slice(0, 0)))
    assert none.keys() == some.keys()
    for key, value in none.items():
        assert value.dtype == some[key].dtype
        assert value.shape == (0, *some[key].shape[1:])


def test_rows_of_a_zero_collision_table_stay_as_they_are() -> None:
    model, features = model_of(config_of("multi_tower_din", features=ZERO_COLLISION))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        out = model(Parser(features, for_model=True)(make_table(0, 1)))
    assert any("_mch_" in name for name in before)
    assert out["logits"].shape == (0,)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
