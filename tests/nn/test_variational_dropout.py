"""Variational dropout: expected scale when serving, a toss per row and feature in training, a penalty on keeping."""

from __future__ import annotations

import logging

import pytest
import torch

from recinfer.data.parser import Parser
from recinfer.nn.variational_dropout import VariationalDropout
from tests.models.parity import check_learns, check_scripted
from tests.synthetic import config_of, make_table, model_of

TEXT = """variational_dropout { regularization_lambda: 0.5 }
feature_groups { group_name: "one" feature_names: "user_id" }
dlrm { dense_mlp { hidden_units: 8 } final { hidden_units: 4 } }
feature_groups { group_name: "sparse" feature_names: ["user_id", "movie_id", "genres"] }
feature_groups { group_name: "dense" feature_names: ["rating", "profile"] }"""


def module_of(chances: list[float], dims: list[int]) -> VariationalDropout:
    module = VariationalDropout(dims, 0.5)
    with torch.no_grad():
        module.feature_p.copy_(torch.logit(torch.tensor(chances)))
    return module


def test_serving_scales_each_feature_by_its_chance_to_stay() -> None:
    module = module_of([0.25, 0.9], [2, 1]).eval()
    torch.testing.assert_close(module(torch.ones(2, 3)), torch.tensor([[0.75, 0.75, 0.1]] * 2))


def test_training_tosses_per_row_and_feature() -> None:
    torch.manual_seed(0)
    kept = module_of([0.25, 0.9], [2, 1]).train()(torch.ones(20_000, 3))
    assert torch.equal(kept[:, 0], kept[:, 1])
    assert kept[:, 0].std() > 0.3
    # The relaxed toss is near 0 or 1; on which side it falls follows the rate.
    torch.testing.assert_close((kept > 0.5).float().mean(0), torch.tensor([0.75, 0.75, 0.1]), atol=0.02, rtol=0)


def test_penalty() -> None:
    assert module_of([0.25, 0.9], [2, 1]).penalty(4).item() == pytest.approx(0.5 / 4 * (0.75 + 0.1))


def test_in_a_model() -> None:
    model, features = model_of(config_of(TEXT))
    # A group of one feature has nothing to rank.
    assert sorted(model.group_variational_dropouts) == ["dense", "sparse"]
    state = model.state_dict()
    assert state["group_variational_dropouts.dense.feature_dim_repeat"].tolist() == [1, 3]
    check_scripted(model, features)
    batch = Parser(features)(make_table(8, 0))
    assert not any(key.startswith("loss/") for key in model(batch))
    out = check_learns(model, features, spared=["embedding_group.emb_impls.__BASE__.ebc.embedding_bags.one"])
    penalties = {key: value for key, value in out.items() if key.startswith("loss/")}
    assert sorted(penalties) == ["loss/dense_feature_p_loss", "loss/sparse_feature_p_loss"]
    rates = torch.sigmoid(state["group_variational_dropouts.dense.feature_p"])
    torch.testing.assert_close(penalties["loss/dense_feature_p_loss"], 0.5 / 64 * (1 - rates).sum())


def test_rates_per_dimension_have_no_effect(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        model_of(config_of(TEXT.replace("0.5", "0.5 embedding_wise_variational_dropout: true")))
    assert "embedding_wise_variational_dropout" in caplog.text
