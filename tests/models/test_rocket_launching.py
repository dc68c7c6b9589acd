"""Rocket Launching: the light network serves, the booster teaches."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from recinfer.data.parser import Parser
from tests.models.parity import check_golden, check_learns, check_scripted
from tests.synthetic import config_of, make_table, model_of

SOFTMAX = {"loss": "softmax_cross_entropy {}", "num_class": 2}


def text(extra: str = "", share: str = "share_mlp { hidden_units: 7 }") -> str:
    return f"""rocket_launching {{
      {share} booster_mlp {{ hidden_units: [9, 6, 6] }} light_mlp {{ hidden_units: [6, 4] }} {extra}
    }}"""


DISTILLED = "feature_based_distillation: true"


@pytest.mark.parametrize("name", ["rocket_launching_criteo", "rocket_launching_criteo_v1"])
def test_golden(shared: Path, name: str) -> None:
    check_golden(shared, name)


@pytest.mark.parametrize("share", ["", "share_mlp { hidden_units: 7 }"])
def test_scripted(share: str) -> None:
    model, features = model_of(config_of(text(DISTILLED, share), groups=["deep"], **SOFTMAX))
    check_scripted(model, features)


def test_only_the_light_network_serves() -> None:
    model, features = model_of(config_of(text(DISTILLED), groups=["deep"]))
    batch = Parser(features)(make_table(4, 0))
    assert set(model(batch)) == {"logits_light", "probs_light"}
    assert [task.name for task in model.tasks] == ["light"]


def test_training_has_both_and_the_losses_between_them() -> None:
    model, features = model_of(config_of(text(DISTILLED), groups=["deep"], **SOFTMAX))
    assert [task.name for task in model.training_tasks] == ["light", "booster"]
    out = check_learns(model, features)
    hint = torch.mean((out["logits_light"] - out["logits_booster"]) ** 2, dim=1)
    torch.testing.assert_close(out["loss/hint_l2_loss"], hint)
    # The light layer of 6 units pairs with the booster's first layer of 6; that of 4 with none.
    assert {key for key in out if key.startswith("loss/")} == {"loss/hint_l2_loss", "loss/similarity_0"}


@pytest.mark.parametrize(("function", "by_cosine"), [("COSINE", True), ("EUCLID", False)])
def test_distance_of_layers(function: str, by_cosine: bool) -> None:
    extra = f"{DISTILLED} feature_distillation_function: {function}"
    model, features = model_of(config_of(text(extra, ""), groups=["users"]))
    batch = Parser(features)(make_table(8, 0))
    out = model.train()(batch)
    group = model.embedding_group(batch)["users"]
    light = model.light_mlp.mlp[0](group)  # type: ignore[union-attr, index, operator]
    booster = model.booster_mlp.mlp[1](model.booster_mlp.mlp[0](group))  # type: ignore[union-attr, index, operator]
    if by_cosine:
        want = -0.1 * (functional.normalize(light) * functional.normalize(booster)).sum(1)
    else:
        want = ((light - booster) ** 2).sum().sqrt()
    torch.testing.assert_close(out["loss/similarity_0"], want)


def test_the_light_network_does_not_train_the_shared_part() -> None:
    model, features = model_of(config_of(text(), groups=["users"]))
    out = model.train()(Parser(features)(make_table(8, 0)))
    (out["logits_light"].sum() + out["loss/hint_l2_loss"].sum()).backward()
    assert {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None and p.grad.any()} == {
        "light_mlp",
        "light_linear",
    }
