"""Embedding groups against lookups by hand, and the errors of groups and tables that do not fit."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from recinfer.config.load import parse_pipeline_config
from recinfer.data.parser import Parser
from recinfer.errors import ConfigError
from recinfer.features import build_features
from recinfer.nn.embedding_group import EmbeddingGroup
from recinfer.nn.pooled_embeddings import merge_runs
from tests.synthetic import FEATURES, SPARSE, group_text, make_table, model_of


def group_of(groups: str, features: str = FEATURES, **options: Any) -> tuple[EmbeddingGroup, Parser]:
    config = parse_pipeline_config(f"{features} model_config {{ {groups} }}")
    built = build_features(config)
    torch.manual_seed(0)
    group = EmbeddingGroup(built, config.model_config.feature_groups, **options)
    with torch.no_grad():
        for parameter in group.parameters():
            parameter.normal_()
    used = {name for each in config.model_config.feature_groups for name in each.feature_names}
    return group, Parser([feature for feature in built if feature.name in used])


def pooled(ids: list[Any], table: np.ndarray, mean: bool) -> np.ndarray:
    """One row of an embedding bag: ids, or (id, weight) pairs."""
    pairs = [each if isinstance(each, tuple) else (each, 1.0) for each in ids]
    total = sum((weight * table[key] for key, weight in pairs), np.zeros(table.shape[1]))
    return total / len(pairs) if mean and pairs else total


def cell_ids(cell: Any) -> list[Any]:
    if cell is None:
        return []
    return cell if isinstance(cell, list) else [cell]


def test_weighted_and_mean_pooled_features_side_by_side() -> None:
    """Weighted bags only add up, so a mean beside them takes another way: it must come to the same."""
    table = make_table(60, 3)
    group, parser = group_of(f"{group_text('deep')} {group_text('wide')}", wide_dim=3)
    state = {name: tensor.numpy() for name, tensor in group.state_dict().items()}
    out = group(parser(table))

    assert out["wide"].shape == (60, 3 * len(SPARSE))
    assert group.total_dim("deep") == out["deep"].shape[1] == 5 * 8 + 1 + 3 + 8 + 8
    start = {"deep": 0, "wide": 0}
    for name in SPARSE:
        for where, suffix, dim in (("deep", "", 8), ("wide", "_wide", 3)):
            known = {"movie_id": "movie"}.get(name, f"{name}_emb") + suffix
            weights = state[f"emb_impls.__BASE__.ebc.embedding_bags.{known}.weight"]
            assert weights.shape[1] == dim
            default = [0] if name == "age" else []
            expected = [
                pooled(cell_ids(cell) or default, weights, name == "genres") for cell in table[name].to_pylist()
            ]
            found = out[where][:, start[where] : start[where] + dim].detach().numpy()
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5, err_msg=f"{where} {name}")
            start[where] += dim
    rating = [[3.5 if value is None else value] for value in table["rating"].to_pylist()]
    np.testing.assert_allclose(out["deep"][:, 40:41].detach().numpy(), rating)


def test_a_mean_that_is_weighted_divides_by_the_number_of_ids() -> None:
    features = """
    data_config { fg_mode: FG_NONE }
    feature_configs { id_feature { feature_name: "f" num_buckets: 5 embedding_dim: 4 weighted: true pooling: "mean" } }
    """
    group, parser = group_of('feature_groups { group_name: "deep" feature_names: "f" group_type: DEEP }', features)
    out = group(parser(pa.record_batch({"f": ["1:2\x033:0.5", "", "4:-1"]})))["deep"].detach().numpy()
    (weights,) = [tensor.numpy() for tensor in group.state_dict().values()]
    expected = [(2 * weights[1] + 0.5 * weights[3]) / 2, np.zeros(4), -weights[4]]
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)


def test_sequence_groups() -> None:
    table = make_table(40, 4)
    group, parser = group_of(group_text("seq"))
    state = {name: tensor.numpy() for name, tensor in group.state_dict().items()}
    movies = state["seq_emb_impls.__BASE__.ec_dict.8.embeddings.movie.weight"]
    genres = state["seq_emb_impls.__BASE__.ec_dict.4.embeddings.history__genres_emb.weight"]
    out = group(parser(table))

    assert group.sequence_dims("seq") == (9, 15)
    rows = {name: [cell or [] for cell in table[f"history__{name}"].to_pylist()] for name in ("movie_id", "genres")}
    lengths = [len(row) for row in rows["movie_id"]]
    assert out["seq.sequence_length"].tolist() == lengths
    query = [
        [*(np.zeros(8) if movie is None else movies[movie]), 3.5 if rating is None else rating]
        for movie, rating in zip(table["movie_id"].to_pylist(), table["rating"].to_pylist(), strict=True)
    ]
    np.testing.assert_allclose(out["seq.query"].detach().numpy(), query, rtol=1e-5, atol=1e-6)
    steps = out["seq.sequence"].detach().numpy()
    assert steps.shape == (sum(lengths), 15)
    np.testing.assert_allclose(steps[:, :8], [movies[movie] for row in rows["movie_id"] for movie in row])
    expected = [pooled(step, genres, mean=True) for row in rows["genres"] for step in row]
    np.testing.assert_allclose(steps[:, 8:12], expected, rtol=1e-5, atol=1e-6)
    mood = [step for row in table["history__mood"].to_pylist() for step in row or []]
    np.testing.assert_allclose(steps[:, 13:], mood, rtol=1e-6)


def test_features_of_unequal_lengths_follow_the_first() -> None:
    group, parser = group_of(
        """feature_groups {
          group_name: "seq" group_type: SEQUENCE
          feature_names: ["movie_id", "history__movie_id", "history__rating"]
        }"""
    )
    batch = pa.table(
        {
            "movie_id": [1, 2, 3],
            "history__movie_id": [[1, 2], [], [3]],
            "history__rating": pa.array([[0.5], [0.1], [1.0, 2.0]]),
        }
    )
    out = group(parser(batch))
    assert out["seq.sequence_length"].tolist() == [2, 0, 1]
    assert out["seq.sequence"][:, 8].tolist() == [0.5, 0.0, 1.0]


def shared_table(second: str, table: str = "t") -> str:
    return f"""
    data_config {{ fg_mode: FG_NONE }}
    feature_configs {{
      id_feature {{ feature_name: "a" num_buckets: 5 embedding_dim: 4 embedding_name: "t" }}
    }}
    feature_configs {{ id_feature {{ feature_name: "b" embedding_name: "{table}" {second} }} }}
    """


DEEP = 'feature_groups { group_name: "deep" feature_names: ["a", "b"] group_type: DEEP }'


def test_sharers_look_into_one_table() -> None:
    group, parser = group_of(DEEP, shared_table("num_buckets: 5 embedding_dim: 4"))
    assert list(group.state_dict()) == ["emb_impls.__BASE__.ebc.embedding_bags.t.weight"]
    out = group(parser(pa.record_batch({"a": [1, 2], "b": [2, 1]})))["deep"]
    assert torch.equal(out[0, :4], out[1, 4:]) and torch.equal(out[1, :4], out[0, 4:])


@pytest.mark.parametrize(
    ("second", "what"),
    [
        ("num_buckets: 6 embedding_dim: 4", "rows: 5 and 6"),
        ("num_buckets: 5 embedding_dim: 8", "dim: 4 and 8"),
        ('num_buckets: 5 embedding_dim: 4 pooling: "mean"', "pooling: sum and mean"),
        ('num_buckets: 5 embedding_dim: 4 data_type: "FP16"', "data_type: FP32 and FP16"),
        ("num_buckets: 5 embedding_dim: 4 trainable: false", "trainable: True and False"),
    ],
)
def test_sharers_that_disagree(second: str, what: str) -> None:
    with pytest.raises(ConfigError, match=f"'a' and 'b' share the table 't', but differ in {what}"):
        group_of(DEEP, shared_table(second))


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ('num_buckets: 5 embedding_dim: 4 pooling: "max"', "`pooling: 'max'` is not supported: feature 'b'"),
        ('num_buckets: 5 embedding_dim: 4 data_type: "INT3"', "`data_type: 'INT3'` is not supported: feature 'b'"),
        ("embedding_dim: 4", "'b' does not say how large its embedding table is"),
        ("num_buckets: 5", "'b' has no embedding_dim"),
        ('num_buckets: 5 embedding_dim: 4 init_fn: "nn.init.nothing_"', "is unknown: feature 'b'"),
    ],
)
def test_tables_that_cannot_be_built(second: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        group_of(DEEP, shared_table(second, "u"))


def test_init_fn_and_trainable_reach_the_table() -> None:
    features = shared_table('num_buckets: 5 embedding_dim: 4 init_fn: "constant_,val=2" trainable: false', "u")
    config = parse_pipeline_config(f"{features} model_config {{ {DEEP} }}")
    group = EmbeddingGroup(build_features(config), config.model_config.feature_groups)
    weight = dict(group.named_parameters())["emb_impls.__BASE__.ebc.embedding_bags.u.weight"]
    assert (weight == 2).all() and not weight.requires_grad
    assert dict(group.named_parameters())["emb_impls.__BASE__.ebc.embedding_bags.t.weight"].requires_grad


def test_groups_that_do_not_exist() -> None:
    group, _ = group_of(f"{group_text('deep')} {group_text('seq')}")
    with pytest.raises(ConfigError, match=r"group 'seq', which is not a deep or wide one(.|\n)*deep \(DEEP\)"):
        group.dims("seq")
    with pytest.raises(ConfigError, match=r"sequence group 'deep', which does not exist(.|\n)*seq \(SEQUENCE\)"):
        group.sequence_dims("deep")


def test_group_members_that_do_not_exist() -> None:
    with pytest.raises(ConfigError, match="group 'g' names features that do not exist: movie"):
        group_of('feature_groups { group_name: "g" feature_names: ["movie", "user_id"] group_type: DEEP }')


def test_neighbouring_columns_become_one_slice() -> None:
    assert merge_runs([(0, 4), (4, 8), "dense:a", (8, 9), (12, 13), (13, 20)]) == [(0, 8), "dense:a", (8, 9), (12, 20)]
    assert merge_runs([]) == []


def test_order_of_lookups_does_not_matter() -> None:
    """The same features in another order give the same columns in that order."""
    names = ["tags", "genres", "user_id", "age", "movie_id"]
    text = f'feature_groups {{ group_name: "g" group_type: DEEP feature_names: {names} }}'.replace("'", '"')
    first, parser = group_of(text)
    second, _ = group_of(text.replace(str(names).replace("'", '"'), str(names[::-1]).replace("'", '"')))
    second.load_state_dict(first.state_dict())
    batch = parser(make_table(20, 2))
    left, right = first(batch)["g"].unflatten(1, (5, 8)), second(batch)["g"].unflatten(1, (5, 8))
    torch.testing.assert_close(left, right.flip(1))


def test_models_share_the_makers() -> None:
    """The random models of the other tests give scores that differ by row, so that equal scores mean something."""
    from tests.synthetic import MODELS, config_of

    for name in MODELS:
        model, features = model_of(config_of(name))
        with torch.no_grad():
            scores = model(Parser(features)(make_table(50, 1)))["probs"]
        assert scores.std() > 5e-3, name
