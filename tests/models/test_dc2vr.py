"""DC2VR."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from recinfer import load_scorer
from recinfer.data.parser import Parser
from recinfer.errors import ConfigError
from recinfer.features.base import Feature
from recinfer.models import Model
from recinfer.nn.intervention import OrthogonalMap, with_constant_maps
from recinfer.predict.model_scorer import ModelScorer
from tests.models.parity import check_learns, check_scripted
from tests.models.test_multi_task import BINARY, EXPERTS
from tests.synthetic import config_of, make_table, model_of, write_export_of

TOWERS = f"""
  task_towers {{ tower_name: "click" {BINARY} mlp {{ hidden_units: [8, 4] }} }}
  task_towers {{ tower_name: "buy" {BINARY} intervention_tower_names: "click" low_rank_dim: 2 }}
  task_towers {{
    tower_name: "pay" losses {{ l2_loss {{}} }} mlp {{ hidden_units: 7 }} low_rank_dim: 6
    intervention_tower_names: ["click", "buy"] dropout_ratio: 0.2
  }}
"""
TEXT = f"dc2vr {{ bottom_mlp {{ hidden_units: 10 }} {EXPERTS} {TOWERS} }}"


def random_model(text: str) -> tuple[Model, list[Feature]]:
    """A model of random parameters whose orthogonal maps are such."""
    model, features = model_of(config_of(text, groups=["deep"]))
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, OrthogonalMap):
                held = module.parametrizations["weight"]  # type: ignore[index]
                module.weight = torch.nn.init.orthogonal_(torch.empty(module.before, module.after))
                held.original.add_(torch.randn_like(held.original).tril(-1))
    return model, features


def test_scripted() -> None:
    check_scripted(*random_model(TEXT))


@pytest.mark.parametrize("rank", [2, 4, 5])
def test_maps_that_are_worked_out_give_the_same(rank: int) -> None:
    # Of the source's width 4: fewer dimensions, as many, and more.
    towers = TOWERS.replace("low_rank_dim: 2", f"low_rank_dim: {rank}")
    model, features = random_model(f"dc2vr {{ bottom_mlp {{ hidden_units: 10 }} {EXPERTS} {towers} }}")
    batch = Parser(features)(make_table(20, 1))
    fixed = with_constant_maps(copy.deepcopy(model))
    assert not any(isinstance(module, OrthogonalMap) for module in fixed.modules())
    for name, wanted in model(batch).items():
        torch.testing.assert_close(fixed(batch)[name], wanted, rtol=0, atol=1e-6)


def test_compiled(tmp_path: Path) -> None:
    # Machine code has no way to call what makes a matrix of reflections.
    model, features = random_model(TEXT)
    config = config_of(TEXT, groups=["deep"])
    given = {"config": config, "model": model, "features": features}
    scorer = load_scorer(write_export_of("multi_tower", tmp_path / "export", kind="aot", **given))
    wanted, table = ModelScorer(model, features, "", config.data_config), make_table(50, 3)
    for name in wanted.outputs.names:
        found, expected = (np.array(each.score(table)[name], np.float64) for each in (scorer, wanted))
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_learns() -> None:
    check_learns(*random_model(TEXT))


def test_names_of_parameters() -> None:
    model, _ = model_of(config_of(TEXT, groups=["deep"]))
    held = {name: tuple(value.shape) for name, value in model.state_dict().items() if name.startswith("intervention.")}
    assert held == {
        "intervention.buy.base_rotate_layer.parametrizations.weight.original": (6, 2),
        "intervention.buy.base_rotate_layer.parametrizations.weight.0.base": (6, 6),
        "intervention.buy.source_rotate_layer.parametrizations.weight.original": (4, 2),
        "intervention.buy.source_rotate_layer.parametrizations.weight.0.base": (4, 4),
        "intervention.pay.base_rotate_layer.parametrizations.weight.original": (7, 6),
        "intervention.pay.base_rotate_layer.parametrizations.weight.0.base": (7, 7),
        "intervention.pay.source_rotate_layer.parametrizations.weight.original": (10, 6),
        "intervention.pay.source_rotate_layer.parametrizations.weight.0.base": (10, 10),
    }


def test_a_tower_reads_those_that_intervene_after_their_own_interventions() -> None:
    model, features = random_model(f"dc2vr {{ bottom_mlp {{ hidden_units: 6 }} {TOWERS} }}")
    group = model.embedding_group(batch := Parser(features)(make_table(6, 0)))["deep"]
    bottom = model.bottom_mlp(group)  # type: ignore[operator]
    click = model.task_mlps["click"](bottom)  # type: ignore[index]
    buy = model.intervention["buy"](bottom, click)  # type: ignore[index]
    pay = model.intervention["pay"](model.task_mlps["pay"](bottom), torch.cat([click, buy], 1))  # type: ignore[index]
    want = model.task_outputs[2](pay).squeeze(1)  # type: ignore[index]
    torch.testing.assert_close(model(batch)["y_pay"], want)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("low_rank_dim: 6", "low_rank_dim: 7", "tower 'pay' has low_rank_dim 7 and a representation of width 7"),
        ("low_rank_dim: 2", "", "tower 'buy' has low_rank_dim 0"),
        (
            'intervention_tower_names: "click"',
            'intervention_tower_names: "pay"',
            "'buy' names 'pay' in intervention_tower",
        ),
    ],
)
def test_misfits(old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        model_of(config_of(TEXT.replace(old, new), groups=["deep"]))
