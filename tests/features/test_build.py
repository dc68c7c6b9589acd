"""Features from a config: names, kinds, sizes, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from recinfer.config.load import parse_pipeline_config
from recinfer.data.parser import Parser
from recinfer.errors import ConfigError
from recinfer.features import FEATURES, build_features
from recinfer.features.assets import with_assets_in
from recinfer.features.base import Feature
from recinfer.features.example import batch_keys, example_batch
from recinfer.features.used import used_features
from tests.synthetic import FEATURES as SYNTHETIC
from tests.synthetic import config_of, make_table


def feature_of(text: str, **options: Any) -> Feature:
    (feature,) = build_features(
        parse_pipeline_config(f"data_config {{ fg_mode: FG_NONE }} feature_configs {{ {text} }}"), **options
    )
    return feature


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("hash_bucket_size: 7", 7),
        ("num_buckets: 7", 7),
        ('vocab_list: ["a", "b"]', 4),
        ('vocab_list: ["a", "b"] default_bucketize_value: 0', 2),
        ('vocab_dict { key: "a" value: 2 } vocab_dict { key: "b" value: 9 }', 10),
    ],
)
def test_table_sizes_of_ids(text: str, rows: int) -> None:
    assert feature_of(f'id_feature {{ feature_name: "f" embedding_dim: 4 {text} }}').table_rows == rows


def test_table_size_of_boundaries() -> None:
    feature = feature_of('raw_feature { feature_name: "f" embedding_dim: 4 boundaries: [1, 2, 3] }')
    assert feature.is_sparse and feature.table_rows == 4
    assert not feature_of('raw_feature { feature_name: "f" }').is_sparse


def test_table_size_of_vocabulary_files(tmp_path: Path) -> None:
    words = tmp_path / "words"
    words.write_text("a\nb\nc\n", encoding="utf-8")
    numbered = tmp_path / "numbered"
    numbered.write_text("a 4\nb 11\nc 0\n", encoding="utf-8")
    tokens = tmp_path / "tokenizer.json"
    tokens.write_text(
        json.dumps({"model": {"vocab": {"a": 0, "b": 1}}, "added_tokens": [{"id": 5, "content": "[PAD]"}]}),
        encoding="utf-8",
    )
    kinds = {
        f'id_feature {{ feature_name: "f" vocab_file: "{words}" default_bucketize_value: 0 }}': 3,
        f'id_feature {{ feature_name: "f" vocab_file: "words" asset_dir: "{tmp_path}" }}': 3,
        f'id_feature {{ feature_name: "f" vocab_file: "{numbered}" default_bucketize_value: 0 }}': 12,
        f'tokenize_feature {{ feature_name: "f" vocab_file: "{tokens}" }}': 6,
    }
    for text, rows in kinds.items():
        assert feature_of(text).table_rows == rows


def test_a_vocabulary_that_is_not_here() -> None:
    text = 'id_feature { feature_name: "f" vocab_file: "nowhere" default_bucketize_value: 0 }'
    with pytest.raises(ConfigError, match="'f': vocab_file 'nowhere' does not exist"):
        _ = feature_of(text).table_rows
    assert not feature_of(text).has_known_size
    assert feature_of(text, table_rows={"f_emb": 12}).table_rows == 12


def test_a_tokenizer_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"'f': .*no tokenizer\.json"):
        feature_of(f'tokenize_feature {{ feature_name: "f" vocab_file: "{tmp_path / "t.json"}" }}')


@pytest.mark.parametrize("mode", ["FG_NORMAL", "FG_DAG", "FG_BUCKETIZE"])
def test_other_modes_are_refused_by_name(mode: str) -> None:
    with pytest.raises(ConfigError, match=f"fg_mode: {mode}"):
        build_features(parse_pipeline_config(f"data_config {{ fg_mode: {mode} }}"))


def test_unsupported_tables_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="`dynamicemb` is not supported: feature 'f'"):
        feature_of('id_feature { feature_name: "f" embedding_dim: 4 dynamicemb { max_capacity: 9 } }')


def test_every_kind_of_the_config_has_a_class() -> None:
    from recinfer.protos.feature_pb2 import FeatureConfig

    kinds = {field.name for field in FeatureConfig.DESCRIPTOR.oneofs_by_name["feature"].fields}
    plain = {kind.removeprefix("sequence_") for kind in kinds} - {"feature"}
    assert plain <= FEATURES.keys()


def test_grouped_sequences_and_shared_tables_are_named_as_the_reference_names_them() -> None:
    features = {feature.name: feature for feature in build_features(parse_pipeline_config(SYNTHETIC))}
    held = features["history__movie_id"]
    assert held.is_sequence and held.embedding_name == "movie" == features["movie_id"].embedding_name
    assert features["history__genres"].embedding_name == "history__genres_emb"
    assert features["history__rating"].value_dim == 1 and features["history__mood"].value_dim == 2
    assert features["genres"].value_dim == 0 and features["genres"].pooling == "mean"


def test_only_what_a_model_reads_is_used() -> None:
    config = config_of("deepfm")
    assert {feature.name for feature in used_features(config, build_features(config))} == {
        *("user_id", "movie_id", "genres", "tags", "age", "rating", "profile", "popularity", "recency")
    }
    config = parse_pipeline_config(SYNTHETIC)
    assert len(used_features(config, build_features(config))) == 13


def test_an_example_batch_has_the_keys_shapes_and_types_of_a_parsed_one() -> None:
    features = build_features(parse_pipeline_config(SYNTHETIC))
    parsed = Parser(features)(make_table(5, 1))
    for rows, steps in ((0, 1), (1, 3), (5, 2)):
        made = example_batch(features, rows, steps=steps)
        assert made.keys() == parsed.keys()
        for key, tensor in made.items():
            assert tensor.dtype == parsed[key].dtype and tensor.shape[1:] == parsed[key].shape[1:], key
        for feature in features:
            values = made[f"{feature.name}.values"]
            assert set(batch_keys(feature)) == {key for key in made if key.rsplit(".", 1)[0] == feature.name}
            assert values.shape[0] == (rows * steps if feature.is_sequence else rows)
            if feature.is_sparse and rows:
                assert int(values.min()) >= 0 and int(values.max()) < feature.table_rows
    assert torch.equal(example_batch(features, 4)["genres.values"], example_batch(features, 4)["genres.values"])


def test_assets_are_found_in_the_folder_that_carries_them(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("a\nb\n", encoding="utf-8")
    config = parse_pipeline_config(
        """
        data_config { fg_mode: FG_NONE }
        feature_configs { id_feature { feature_name: "f" vocab_file: "/elsewhere/words" default_bucketize_value: 0 } }
        feature_configs {
          sequence_feature {
            sequence_name: "s" sequence_length: 3
            features { id_feature { feature_name: "f" vocab_file: "words" asset_dir: "/gone" } }
          }
        }
        feature_configs { id_feature { feature_name: "g" vocab_file: "/elsewhere/other" default_bucketize_value: 0 } }
        """
    )
    before = str(config)
    moved = build_features(with_assets_in(config, tmp_path))
    assert [feature.has_known_size for feature in moved] == [True, True, False]
    assert moved[0].table_rows == 2 and moved[1].table_rows == 2
    assert str(config) == before
