"""DBMTL."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from recinfer.data.parser import Parser
from recinfer.errors import ConfigError
from tests.models.parity import check_golden, check_learns, check_scripted
from tests.models.test_multi_task import BINARY, EXPERTS
from tests.synthetic import config_of, make_table, model_of

TOWERS = f"""
  task_towers {{ tower_name: "ctr" {BINARY} mlp {{ hidden_units: 5 }} }}
  task_towers {{ tower_name: "fav" {BINARY} relation_tower_names: "ctr" relation_mlp {{ hidden_units: 4 }} }}
  task_towers {{
    tower_name: "cvr" {BINARY} mlp {{ hidden_units: 3 }} relation_tower_names: ["ctr", "fav"]
    relation_mlp {{ hidden_units: 4 use_bn: true }}
  }}
"""
MASK = "mask_net { n_mask_blocks: 2 mask_block { reduction_ratio: 0.3 hidden_dim: 6 } }"
GOLDENS = [
    "dbmtl_taobao", "dbmtl_taobao_v1", "dbmtl_taobao_jrc", "dbmtl_taobao_seq", "dbmtl_taobao_seq_v1",
    "dbmtl_has_sequence_mock", "dbmtl_has_sequence_mock_v1", "dbmtl_has_sequence_variational_dropout_mock",
]  # fmt: skip


@pytest.mark.parametrize("name", GOLDENS)
def test_golden(shared: Path, name: str) -> None:
    check_golden(shared, name)


@pytest.mark.parametrize(
    "text",
    [
        f"dbmtl {{ {TOWERS} }}",
        f"dbmtl {{ bottom_mlp {{ hidden_units: 9 }} {TOWERS} }}",
        f"dbmtl {{ {MASK} bottom_mlp {{ hidden_units: 9 }} {EXPERTS} gate_mlp {{ hidden_units: 4 }} {TOWERS} }}",
    ],
    ids=["towers", "bottom", "all"],
)
def test_scripted_and_learns(text: str) -> None:
    model, features = model_of(config_of(text, groups=["deep"]))
    check_scripted(model, features)
    check_learns(model, features)


def test_a_tower_reads_the_towers_it_names() -> None:
    model, features = model_of(config_of(f"dbmtl {{ {TOWERS} }}", groups=["deep"]))
    group = model.embedding_group(batch := Parser(features)(make_table(6, 0)))["deep"]
    mlps, relations, outputs = model.task_mlps, model.relation_mlps, model.task_outputs
    ctr = mlps["ctr"](group)  # type: ignore[index]
    fav = relations["fav"](torch.cat([group, ctr], 1))  # type: ignore[index]
    cvr = relations["cvr"](torch.cat([mlps["cvr"](group), ctr, fav], 1))  # type: ignore[index]
    out = model(batch)
    for place, (name, x) in enumerate({"ctr": ctr, "fav": fav, "cvr": cvr}.items()):
        torch.testing.assert_close(out[f"logits_{name}"], outputs[place](x).squeeze(1))  # type: ignore[index]


def test_a_relation_to_a_later_tower() -> None:
    later = TOWERS.replace('relation_tower_names: "ctr"', 'relation_tower_names: "cvr"')
    text = f"dbmtl {{ {later} }}"
    with pytest.raises(
        ConfigError, match="tower 'fav' names 'cvr' in relation_tower_names, which does not stand before"
    ):
        model_of(config_of(text, groups=["deep"]))
