from __future__ import annotations

from typing import Any

import pytest

from recinfer.config.load import parse_pipeline_config
from recinfer.config.override import apply_overrides
from recinfer.errors import ConfigError
from recinfer.protos.data_pb2 import DatasetType
from recinfer.protos.pipeline_pb2 import EasyRecConfig


def value_at(config: EasyRecConfig, path: str) -> Any:
    """The value at a dotted path with [index], read by plain attribute access."""
    found: Any = config
    for step in path.replace("[", ".[").split("."):
        found = found[int(step[1:-1])] if step.startswith("[") else getattr(found, step)
    return found


VALUES = [
    ("data_config.batch_size", "4096", 4096),
    ("data_config.pin_memory", "false", False),
    ("data_config.with_header", "True", True),
    ("data_config.dataset_type", "CsvDataset", DatasetType.CsvDataset),
    ("data_config.dataset_type", "3", DatasetType.CsvDataset),
    ("data_config.sample_mask_prob", "0.5", 0.5),
    ("data_config.sample_mask_prob", "1e-1", pytest.approx(0.1)),
    ("model_dir", "s3://bucket/a=b,c", "s3://bucket/a=b,c"),
    ("model_dir", "", ""),
    ("data_config.delimiter", '"\\t"', "\t"),
    ("data_config.delimiter", "=", "="),
    ("data_config.label_fields", "[x,y]", ["x", "y"]),
    ("data_config.label_fields", '["x,y", z ]', ["x,y", "z"]),
    ("data_config.label_fields", "[]", []),
    ("data_config.label_fields[1]", "z", "z"),
    ("data_config.label_fields[2]", "third", "third"),
    ("feature_configs[0].id_feature.embedding_dim", "8", 8),
    ("feature_configs[-1].sequence_feature.sequence_length", "7", 7),
    ("feature_configs[4].sequence_feature.features[0].id_feature.num_buckets", "5", 5),
    ("feature_configs[3].raw_feature.boundaries", "[1, 2.5]", [1, 2.5]),
    ("model_config.multi_tower_din.final.hidden_units", "[64,32]", [64, 32]),
    ("model_config.metrics[0].auc.thresholds", "7", 7),
    ("train_config.sparse_optimizer.adam_optimizer.lr", "0.25", 0.25),
]


@pytest.mark.parametrize(("path", "text", "value"), VALUES)
def test_values_are_typed(good: EasyRecConfig, path: str, text: str, value: Any) -> None:
    before = good.SerializePartialToString()
    changed = apply_overrides(good, [f"{path}={text}"])
    assert value_at(changed, path) == value
    assert good.SerializePartialToString() == before, "the config given in must stay as it is"


def test_only_the_named_field_changes(good: EasyRecConfig) -> None:
    changed = apply_overrides(good, ["feature_configs[0].id_feature.embedding_dim=8"])
    assert changed != good
    changed.feature_configs[0].id_feature.embedding_dim = 16
    assert changed == good


def test_later_overrides_win(good: EasyRecConfig) -> None:
    assert apply_overrides(good, ["model_dir=a", "model_dir=b"]).model_dir == "b"


def test_another_member_of_a_oneof_takes_over(good: EasyRecConfig) -> None:
    changed = apply_overrides(good, ["model_config.deepfm.deep.hidden_units=[8]"])
    assert changed.model_config.WhichOneof("model") == "deepfm"
    assert list(changed.model_config.deepfm.deep.hidden_units) == [8]


def test_blocks(good: EasyRecConfig) -> None:
    changed = apply_overrides(
        good,
        [
            "model_config.losses=[{binary_cross_entropy{}}, {jrc_loss{session_name: 'u'}}]",
            "model_config.losses[0]={l2_loss {}}",
            "train_config.grad_scaler={}",
            "feature_configs[0].id_feature.vocab_dict[a.b]=3",
            'feature_configs[0].id_feature.vocab_dict["c]d"]=4',
        ],
    )
    expected = parse_pipeline_config(
        """
        model_config { losses { l2_loss {} } losses { jrc_loss { session_name: "u" } } }
        train_config { grad_scaler {} }
        feature_configs { id_feature { vocab_dict { key: "a.b" value: 3 } vocab_dict { key: "c]d" value: 4 } } }
        """
    )
    assert list(changed.model_config.losses) == list(expected.model_config.losses)
    assert changed.train_config == expected.train_config
    vocabulary = expected.feature_configs[0].id_feature.vocab_dict
    assert dict(changed.feature_configs[0].id_feature.vocab_dict) == dict(vocabulary)


def test_a_block_replaces_what_was_there(good: EasyRecConfig) -> None:
    changed = apply_overrides(good, ["data_config={batch_size: 3}"])
    assert changed.data_config.batch_size == 3
    assert not changed.data_config.HasField("dataset_type")


MISTAKES = [
    ("data_config.bach_size=1", "in data_config: DataConfig has no field `bach_size`", "`batch_size`"),
    ("data_confg.batch_size=1", "EasyRecConfig has no field `data_confg`", "`data_config`"),
    ("data_config.batch_size=many", "`batch_size` takes a whole number from 0 to 4294967295, not many", None),
    ("data_config.batch_size=-1", "not -1", None),
    ("data_config.batch_size=1.5", "not 1.5", None),
    ("data_config.batch_size=", "not an empty text", None),
    ("data_config.pin_memory=yes", "takes true or false", None),
    ("data_config.dataset_type=parquet", "one of OdpsDataset, ParquetDataset", "`ParquetDataset`"),
    ("data_config.dataset_type=99", "not 99", None),
    ("train_config.grad_scaler.init_scale=1e300", "not 1e300", "32-bit"),
    ("data_config.label_fields=a", "`label_fields` is a list", "label_fields=[a,b]"),
    ("data_config.label_fields[9]=a", "has 2 elements, so there is no [9]", "[2] adds one"),
    ("data_config.label_fields[x]=a", "[x] is not a number", None),
    ('data_config.label_fields=["a" b]', "cannot be read", None),
    ("feature_configs.id_feature.embedding_dim=8", "`feature_configs` is a list", "feature_configs[0]"),
    ("feature_configs[7].id_feature.embedding_dim=8", "so there is no [7]", "[5] adds one"),
    ("feature_configs[0].id_feature.vocab_dict=3", "vocab_dict", None),
    ("feature_configs[0].id_feature.vocab_dict[a]=x", "not x", None),
    ("data_config[0].batch_size=1", "`data_config` is not a list", None),
    ("model_dir.x=1", "`model_dir` is a value", None),
    ("data_config=3", "takes a block of DataConfig fields", "data_config.batch_size=..."),
    ("data_config={bach_size: 3}", "DataConfig has no field `bach_size`", "`batch_size`"),
    ('data_config.delimiter="\\xzz"', "takes a text", "escapes"),
    ("data_config.batch_size", "is not a path, an equals sign and a value", "data_config.batch_size=4096"),
    ("=3", "is not a path", "data_config.batch_size=4096"),
]


@pytest.mark.parametrize(("override", "message", "hint"), MISTAKES, ids=[case[0] for case in MISTAKES])
def test_mistakes(good: EasyRecConfig, override: str, message: str, hint: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        apply_overrides(good, [override])
    assert caught.value.message.startswith(f"override `{override}`: ")
    assert message in caught.value.message
    if hint is not None:
        assert hint in (caught.value.hint or "")
