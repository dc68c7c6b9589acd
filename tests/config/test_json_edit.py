from __future__ import annotations

import json

import pytest
from google.protobuf import json_format

from recinfer.config.override import apply_json_edits
from recinfer.errors import ConfigError
from recinfer.protos.pipeline_pb2 import EasyRecConfig


def test_paths_and_nested_objects_agree(good: EasyRecConfig) -> None:
    flat = apply_json_edits(good, '{"data_config.batch_size": 1, "data_config.label_fields": ["x"]}')
    nested = apply_json_edits(good, '{"data_config": {"batch_size": 1, "label_fields": ["x"]}}')
    assert flat == nested
    assert flat.data_config.batch_size == 1
    assert list(flat.data_config.label_fields) == ["x"]
    # An object changes the fields that it names and leaves the others.
    assert flat.data_config.dataset_type == good.data_config.dataset_type


def test_a_whole_config_as_json_equals_protobufs_own_reading(good: EasyRecConfig) -> None:
    as_json = json_format.MessageToDict(good, preserving_proto_field_name=True)
    assert apply_json_edits(EasyRecConfig(), json.dumps(as_json)) == good


def test_null_clears(good: EasyRecConfig) -> None:
    changed = apply_json_edits(good, '{"data_config.batch_size": null, "feature_configs": null}')
    assert not changed.data_config.HasField("batch_size")
    assert not changed.feature_configs


def test_elements_maps_and_free_form_blocks(good: EasyRecConfig) -> None:
    changed = apply_json_edits(
        good,
        json.dumps(
            {
                "data_config.label_fields[0]": "first",
                "model_config.metrics[0]": {"auc": {"thresholds": 4}},
                "feature_configs[0].id_feature.vocab_dict": {"a": 2, "b": "3"},
                "feature_configs[0].id_feature.vocab_dict[c]": 4,
                "feature_configs[1].custom_feature.operator_params": {"a": [1, {"b": None}]},
                "data_config.dataset_type": "CsvDataset",
            }
        ),
    )
    assert list(changed.data_config.label_fields) == ["first", "buy"]
    assert changed.model_config.metrics[0].auc.thresholds == 4
    assert dict(changed.feature_configs[0].id_feature.vocab_dict) == {"a": 2, "b": 3, "c": 4}
    params = json_format.MessageToDict(changed.feature_configs[1].custom_feature.operator_params)
    assert params == {"a": [1, {"b": None}]}
    assert changed.data_config.dataset_type == 3


MISTAKES = [
    ('{"data_config.bach_size": 1}', "data_config.bach_size: DataConfig has no field", "`batch_size`"),
    ('{"data_config": {"batch_size": true}}', "data_config: batch_size: `batch_size` takes a whole number", None),
    ('{"data_config.batch_size": 1.5}', "not 1.5", None),
    ('{"data_config.pin_memory": 1}', "takes true or false, not 1", None),
    ('{"data_config.delimiter": 3}', "takes a text, not 3", None),
    ('{"data_config.dataset_type": "Parquet"}', "ParquetDataset", "`ParquetDataset`"),
    ('{"data_config.label_fields": "a"}', '`label_fields` is a list, and "a" is not one', "[ ... ]"),
    ('{"model_config.metrics": [{"auc": {}}, {"auk": {}}]}', "[1]: auk: MetricConfig has no field `auk`", "`auc`"),
    ('{"data_config": 3}', "takes a block of DataConfig fields", "JSON object"),
    ('{"data_config.batch_size[0]": 3}', "is not a list", None),
    ('{"": 3}', "is not a path", None),
    ('{"a": 1, "a": 2}', "`a` stands twice", None),
    ("[1]", "not a JSON object", "data_config.batch_size"),
    ("{", "not JSON", "data_config.batch_size"),
]


@pytest.mark.parametrize(("edits", "message", "hint"), MISTAKES, ids=[case[0] for case in MISTAKES])
def test_mistakes(good: EasyRecConfig, edits: str, message: str, hint: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        apply_json_edits(good, edits)
    assert caught.value.message.startswith("edit_config_json: ")
    assert message in caught.value.message
    if hint is not None:
        assert hint in (caught.value.hint or "")
