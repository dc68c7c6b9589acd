"""Each model against its formula over its own parts, its outputs by task, and configs that do not fit."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from recinfer.config.load import parse_pipeline_config
from recinfer.data.parser import Parser
from recinfer.errors import ConfigError
from recinfer.features import build_features
from recinfer.models import MODELS, build_model
from recinfer.predict.model_scorer import ModelScorer
from tests import synthetic
from tests.synthetic import FEATURES, config_of, group_text, make_table, model_of

ROWS = 30


def parts(name: str, model: str | None = None) -> tuple[torch.nn.Module, dict[str, torch.Tensor], torch.Tensor]:
    """A model, its looked-up groups on random rows, and its logits there."""
    groups = synthetic.MODELS[name][0]
    built, features = model_of(config_of(model or name, groups=groups))
    batch = Parser(features)(make_table(ROWS, 1))
    with torch.no_grad():
        return built, built.embedding_group(batch), built(batch)["logits"]


def run(*layers: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        for layer in layers:
            x = layer(x)
    return x


def pairs(fm: torch.Tensor, dim: int = 8) -> torch.Tensor:
    """Sum over pairs of features of their products, [B, dim]."""
    each = fm.unflatten(1, (-1, dim))
    total = torch.zeros(len(fm), dim)
    for first in range(each.shape[1]):
        for second in range(first):
            total += each[:, first] * each[:, second]
    return total


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_wide_and_deep() -> None:
    model, groups, logits = parts("wide_and_deep")
    deep = run(model.deep_mlp, x=groups["deep"])
    wide = groups["wide"].sum(1, keepdim=True)
    close(logits, run(model.final_mlp, model.output_mlp, x=torch.cat([wide, deep], 1)).squeeze(1))

    model, groups, logits = parts("wide_and_deep", "wide_and_deep { deep { hidden_units: 4 } }")
    close(logits, run(model.deep_mlp, model.output_mlp, x=groups["deep"]).squeeze(1) + groups["wide"].sum(1))


def test_deepfm() -> None:
    model, groups, logits = parts("deepfm")
    deep = run(model.deep_mlp, x=groups["deep"])
    joined = torch.cat([groups["wide"].sum(1, keepdim=True), pairs(groups["fm"]), deep], 1)
    close(logits, run(model.final_mlp, model.output_mlp, x=joined).squeeze(1))

    model, groups, logits = parts("deepfm", "deepfm { deep { hidden_units: 4 } }")
    added = pairs(groups["fm"]).sum(1) + groups["wide"].sum(1)
    close(logits, run(model.deep_mlp, model.output_mlp, x=groups["deep"]).squeeze(1) + added)


def test_deepfm_takes_the_deep_group_where_there_is_no_fm_group() -> None:
    text = group_text("fm").replace('"fm"', '"deep"', 1)
    body = f"{text} deepfm {{ deep {{ hidden_units: 4 }} }} losses {{ binary_cross_entropy {{}} }}"
    config = parse_pipeline_config(f"{FEATURES} model_config {{ {body} }}")
    model, features = model_of(config)
    batch = Parser(features)(make_table(ROWS, 1))
    with torch.no_grad():
        group, logits = model.embedding_group(batch)["deep"], model(batch)["logits"]
    close(logits, run(model.deep_mlp, model.output_mlp, x=group).squeeze(1) + pairs(group).sum(1))


def test_multi_tower() -> None:
    model, groups, logits = parts("multi_tower")
    users = run(model.towers["users"], x=groups["users"])
    close(logits, run(model.final_mlp, model.output_mlp, x=torch.cat([users, groups["deep"]], 1)).squeeze(1))


def test_multi_tower_din() -> None:
    model, groups, logits = parts("multi_tower_din")
    deep = run(model.towers["deep"], x=groups["deep"])
    with torch.no_grad():
        history = model.din_towers[0](groups["seq.query"], groups["seq.sequence"], groups["seq.sequence_length"])
    close(logits, run(model.final_mlp, model.output_mlp, x=torch.cat([deep, history], 1)).squeeze(1))


@pytest.mark.parametrize("name", synthetic.MODELS)
@pytest.mark.parametrize(
    ("loss", "num_class", "shapes"),
    [
        ("binary_cross_entropy {}", 1, {"logits": (), "probs": ()}),
        ("softmax_cross_entropy {}", 2, {"logits": (2,), "probs": (2,), "probs1": ()}),
        ("softmax_cross_entropy {}", 3, {"logits": (3,), "probs": (3,)}),
        ("l2_loss {}", 1, {"y": ()}),
    ],
    ids=["binary", "two classes", "three classes", "regression"],
)
def test_outputs(name: str, loss: str, num_class: int, shapes: dict[str, tuple[int, ...]]) -> None:
    model, features = model_of(config_of(name, loss=loss, num_class=num_class))
    table = make_table(ROWS, 2)
    with torch.no_grad():
        out = model(Parser(features)(table))
    assert {key: tuple(tensor.shape[1:]) for key, tensor in out.items()} == shapes
    assert all(tensor.shape[0] == ROWS and tensor.isfinite().all() for tensor in out.values())
    if "probs1" in out:
        assert torch.equal(out["probs1"], out["probs"][:, 1])
    if "probs" in out:
        powers = np.exp(out["logits"].numpy().astype(np.float64))
        expected = powers / (1 + powers) if num_class == 1 else powers / powers.sum(1, keepdims=True)
        np.testing.assert_allclose(out["probs"].numpy(), expected, rtol=1e-4, atol=1e-6)
    (task,) = model.tasks
    assert (task.name, task.label, task.num_class, task.suffix) == ("", "liked", num_class, "")
    assert task.loss_kinds == [loss.split()[0]]

    scored = ModelScorer(model, features, "", None).score(table)
    assert scored.column_names == list(out)
    for column in scored.column_names:
        assert scored[column].to_pylist() == out[column].tolist()


def broken(model: str, groups: str) -> str:
    text = synthetic.MODELS[model][1]
    return f"{FEATURES} model_config {{ {groups} {text} losses {{ binary_cross_entropy {{}} }} }}"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (broken("wide_and_deep", group_text("deep")), "group 'wide', which is not a deep or wide one"),
        (broken("wide_and_deep", group_text("wide")), "group 'deep', which is not a deep or wide one"),
        (broken("deepfm", group_text("fm")), "group 'deep', which is not a deep or wide one"),
        (broken("deepfm", group_text("deep")), "DeepFM: features of group 'deep' have the dims [1, 3, 8]"),
        (broken("multi_tower", group_text("deep")), "group 'users', which is not a deep or wide one"),
        (broken("multi_tower_din", group_text("deep")), "sequence group 'seq', which does not exist"),
        (
            broken(
                "multi_tower_din",
                group_text("deep")
                + 'feature_groups { group_name: "seq" group_type: SEQUENCE feature_names: "history__movie_id" }',
            ),
            "sequence group 'seq' has a query of width 0 and steps of width 8",
        ),
        (
            broken(
                "multi_tower_din",
                group_text("deep")
                + 'feature_groups { group_name: "seq" group_type: SEQUENCE feature_names: "movie_id" }',
            ),
            "sequence group 'seq' has a query of width 8 and steps of width 0",
        ),
        (
            broken(
                "multi_tower_din",
                group_text("deep")
                + """feature_groups {
                  group_name: "seq" group_type: SEQUENCE feature_names: ["movie_id", "genres", "history__movie_id"]
                }""",
            ),
            "sequence group 'seq' has a query of width 16 and steps of width 8",
        ),
        (f"{FEATURES} model_config {{ {group_text('deep')} }}", "model_config names no model"),
        (
            f"{FEATURES} model_config {{ {group_text('deep')} multi_tower {{}} num_class: 0 }}",
            "model_config.num_class is 0",
        ),
    ],
)
def test_configs_that_do_not_fit(config: str, message: str) -> None:
    parsed = parse_pipeline_config(config)
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        build_model(parsed, build_features(parsed))
    assert caught.value.hint


def test_a_model_that_does_not_run_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(MODELS, "multi_tower_din")
    config = config_of("multi_tower_din")
    with pytest.raises(ConfigError, match=r"model `multi_tower_din` is not supported(.|\n)*use multi_tower"):
        build_model(config, build_features(config))


@pytest.mark.parametrize("group", ["deep", "wide"])
def test_a_sequence_feature_does_not_belong_into_a_plain_group(group: str) -> None:
    members = 'feature_names: ["movie_id", "history__movie_id"]'
    text = f'feature_groups {{ group_name: "{group}" group_type: {group.upper()} {members} }}'
    config = parse_pipeline_config(
        f'{FEATURES} model_config {{ {text} multi_tower {{ towers {{ input: "{group}" }} }} }}'
    )
    with pytest.raises(ConfigError, match="history__movie_id"):
        build_model(config, build_features(config))
