"""PEPNet."""

from __future__ import annotations

from pathlib import Path

import pytest

from recinfer.errors import ConfigError
from tests.models.parity import check_golden, check_learns, check_scripted
from tests.models.test_multi_task import BINARY
from tests.synthetic import config_of, model_of

ALL = 'feature_groups { group_name: "all" feature_names: ["user_id", "movie_id", "genres", "rating"] }'
DOMAIN = 'feature_groups { group_name: "domain" feature_names: "age" }'
USER = 'feature_groups { group_name: "uia" feature_names: ["user_id", "profile"] }'
TOWERS = f"""
  task_towers {{ tower_name: "ctr" label_name: "clk" {BINARY} mlp {{ hidden_units: 5 }} }}
  task_towers {{ tower_name: "cvr" label_name: "buy" {BINARY} }}
"""
LAYERS = 'ppnet_hidden_units: [6, 4] ppnet_dropout_ratio: 0.1 ppnet_activation: "nn.PReLU"'
DOMAINS = 'domain_input_name: "age" task_domain_num: 3'


@pytest.mark.parametrize("name", ["pepnet_taobao", "pepnet_taobao_v1"])
def test_golden(shared: Path, name: str) -> None:
    check_golden(shared, name)


@pytest.mark.parametrize(
    "text",
    [
        f"{ALL} pepnet {{ {TOWERS} }}",
        f"{ALL}{DOMAIN} pepnet {{ epnet_hidden_unit: 5 epnet_gamma: 1.5 {DOMAINS} {TOWERS} }}",
        f"{ALL}{USER} pepnet {{ {LAYERS} ppnet_gamma: 3 {TOWERS} }}",
        f"{ALL}{DOMAIN}{USER} pepnet {{ {LAYERS} {DOMAINS} {TOWERS} }}",
    ],
    ids=["towers", "domain", "user", "both"],
)
def test_scripted_and_learns(text: str) -> None:
    model, features = model_of(config_of(text))
    check_scripted(model, features)
    check_learns(model, features)


def test_one_task_per_domain() -> None:
    model, _ = model_of(config_of(f"{ALL}{DOMAIN} pepnet {{ {DOMAINS} {TOWERS} }}"))
    assert [(task.name, task.label, task.only_where) for task in model.tasks] == [
        *((f"ctr_{domain}", "clk", ("age", domain)) for domain in range(3)),
        *((f"cvr_{domain}", "buy", ("age", domain)) for domain in range(3)),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{USER} pepnet {{ {LAYERS} {TOWERS} }}", "feature group 'all'"),
        (f"{ALL}{USER} pepnet {{ {TOWERS} }}", "no ppnet_hidden_units"),
        (f"{ALL}{USER} pepnet {{ {LAYERS} ppnet_dropout_ratio: [0.1, 0.1] {TOWERS} }}", "3 ppnet_dropout_ratio values"),
        (f"{ALL} pepnet {{ {DOMAINS.replace('3', '0')} {TOWERS} }}", "task_domain_num 0"),
    ],
)
def test_misfits(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        model_of(config_of(text))
