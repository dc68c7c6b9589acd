"""DLRM."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from recinfer.data.parser import Parser
from recinfer.errors import ConfigError
from tests.models.parity import check_golden, check_learns, check_scripted
from tests.synthetic import config_of, make_table, model_of

SPARSE = 'feature_groups { group_name: "sparse" feature_names: ["user_id", "movie_id", "genres", "recency"] }'
DENSE = 'feature_groups { group_name: "dense" feature_names: ["rating", "profile"] }'
TEXT = "dlrm { dense_mlp { hidden_units: [6, 8] } final { hidden_units: 4 } }"


@pytest.mark.parametrize("name", ["dlrm_criteo", "dlrm_criteo_v1"])
def test_golden(shared: Path, name: str) -> None:
    check_golden(shared, name)


@pytest.mark.parametrize(
    "text",
    [
        SPARSE + DENSE + TEXT,
        DENSE + SPARSE + "dlrm { dense_mlp { hidden_units: 8 } arch_with_sparse: false final { hidden_units: 4 } }",
        SPARSE.replace("sparse", "any") + "dlrm { final { hidden_units: 4 use_bn: true } }",
    ],
)
def test_scripted_and_learns(text: str) -> None:
    model, features = model_of(config_of(text))
    check_scripted(model, features)
    check_learns(model, features)


def test_against_loops() -> None:
    model, features = model_of(config_of(SPARSE + DENSE + TEXT))
    batch = Parser(features)(make_table(9, 1))
    with torch.no_grad():
        groups = model.embedding_group(batch)
        dense = model.dense_mlp(groups["dense"])  # type: ignore[operator]
        vectors = [dense, *groups["sparse"].split(8, dim=1)]
        dots = [(vectors[i] * vectors[j]).sum(1, keepdim=True) for i in range(5) for j in range(i + 1, 5)]
        hidden = model.final_mlp(torch.cat([*dots, dense, groups["sparse"]], dim=1))  # type: ignore[operator]
        want = model.output_mlp(hidden).squeeze(1)  # type: ignore[operator]
        torch.testing.assert_close(model(batch)["logits"], want)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SPARSE.replace("recency", "rating") + DENSE + TEXT, r"group 'sparse' have the dims \[1, 8\]"),
        (SPARSE + DENSE + "dlrm { final { hidden_units: 4 } }", "no dense_mlp"),
        (SPARSE + DENSE + TEXT.replace("[6, 8]", "[8, 6]"), r"dense_mlp ends in \[6\] units"),
        (DENSE + SPARSE.replace("sparse", "other") + TEXT, "feature group 'sparse'"),
    ],
)
def test_misfits(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        model_of(config_of(text))
