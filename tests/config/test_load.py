from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recinfer.config.load import load_pipeline_config, parse_pipeline_config
from recinfer.errors import ConfigError
from recinfer.protos.data_pb2 import DatasetType


def error_of(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse_pipeline_config(text, "my.config")
    return caught.value


def test_required_fields_may_be_absent() -> None:
    config = parse_pipeline_config('feature_configs { id_feature { feature_name: "a" embedding_dim: 4 } }')
    feature = config.feature_configs[0].id_feature
    assert feature.feature_name == "a"
    assert not feature.HasField("expression")


def test_file_is_read_with_byte_order_mark_and_comments(tmp_path: Path) -> None:
    path = tmp_path / "a.config"
    path.write_bytes('\ufeff# a comment\nmodel_dir: "Modèle"\ndata_config { dataset_type: CsvDataset }\n'.encode())
    config = load_pipeline_config(path)
    assert config.model_dir == "Modèle"
    assert config.data_config.dataset_type == DatasetType.CsvDataset


MISTAKES = [
    # what, text, place, part of the message, part of the hint
    (
        "block",
        'model_dir: "m"\nfeature_config {\n}',
        "2:1",
        "EasyRecConfig has no field `feature_config`",
        "`feature_configs`",
    ),
    (
        "field",
        "data_config {\n  bach_size: 4\n}",
        "2:3",
        "DataConfig has no field `bach_size` in data_config",
        "`batch_size`",
    ),
    (
        "enum",
        "data_config {\n  dataset_type: ParquetDatset\n}",
        "2:17",
        "ParquetDataset, CsvDataset",
        "`ParquetDataset`",
    ),
    ("enum number", "data_config { dataset_type: 77 }", "1:29", "not 77", None),
    ("quoted enum", 'data_config { dataset_type: "CsvDataset" }', "1:29", 'not "CsvDataset"', "without quotes"),
    ("integer", "data_config { batch_size: many }", "1:27", "a whole number from 0 to 4294967295, not many", None),
    ("quoted integer", 'data_config { batch_size: "4" }', "1:27", "a whole number", "without quotes"),
    ("negative", "data_config { batch_size: -4 }", "1:27", "`data_config.batch_size` takes a whole number", None),
    ("too large", "data_config { batch_size: 4294967296 }", "1:27", "not 4294967296", None),
    ("fraction", "model_config { deepfm { deep { hidden_units: 1.5 } } }", "1:46", "deepfm.deep.hidden_units", None),
    (
        "float",
        "eval_config {}\ntrain_config { grad_scaler { init_scale: big } }",
        "2:42",
        "takes a number, not big",
        None,
    ),
    ("bool", "data_config { pin_memory: yes }", "1:27", "takes true or false, not yes", None),
    ("bare text", "model_dir: here", "1:12", "`model_dir` takes a text, not here", 'in quotes: "here"'),
    ("text in list", "data_config { label_fields: [a] }", "1:30", "`data_config.label_fields` takes a text", '"a"'),
    ("value for a block", "data_config: 3", "1:14", "takes a block of DataConfig fields", None),
    ("no colon", "data_config { batch_size 3 }", "1:26", "expected `:` before 3 in data_config", "name: value"),
    ("unclosed block", "data_config {\n  batch_size: 3\n", "2:15", "`data_config` is not closed", "}"),
    ("unclosed text", 'model_dir: "m', "1:12", "missing ending quote", None),
    ("closed twice", "data_config {\n}}", "2:2", "closes nothing", None),
    (
        "set twice",
        "data_config { batch_size: 3 batch_size: 4 }",
        "1:41",
        "`batch_size` is set twice in data_config",
        None,
    ),
    (
        "two of a oneof",
        "model_config { deepfm {} dcn_v1 {} }",
        "1:26",
        "`dcn_v1` and `deepfm` are both set",
        "keep one",
    ),
    ("not a config", "@@@", "1:1", "expected the name of a field, not @", None),
    (
        "after a list of blocks",
        'feature_configs: [{ id_feature {} }, { id_feature { nam: "a" } }]',
        "1:53",
        "IdFeature has no",
        "`",
    ),
]


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"), [case[1:] for case in MISTAKES], ids=[case[0] for case in MISTAKES]
)
def test_mistakes(text: str, place: str, message: str, hint: str | None) -> None:
    error = error_of(text)
    assert error.message.startswith("my.config:")
    line, column = (int(part) for part in place.split(":"))
    # protobuf points at the token, or at the one behind it; a user must land on the line and within it.
    found_line, found_column = (int(part) for part in error.message.split(":")[1:3])
    assert found_line == line
    assert abs(found_column - column) <= 1
    assert message in error.message
    if hint is None:
        assert error.hint is None or "did you mean" not in error.hint
    else:
        assert hint in (error.hint or "")


def test_braces_in_texts_and_comments_do_not_confuse_the_place() -> None:
    error = error_of('model_dir: "a{" # {\ntrain_config { # }\n  grad_clipping { norm_type: x } }')
    assert "`train_config.grad_clipping.norm_type` takes a number" in error.message


@pytest.mark.parametrize("raw", [b"", b"  \n", b"# only a comment\n"])
def test_empty_file(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "empty.config"
    path.write_bytes(raw)
    with pytest.raises(ConfigError, match=r"empty\.config: the config is empty"):
        load_pipeline_config(path)


def test_binary_file(tmp_path: Path) -> None:
    path = tmp_path / "b.config"
    path.write_bytes(b"PAR1\x00\x01")
    with pytest.raises(ConfigError, match="not a text file"):
        load_pipeline_config(path)


def test_other_encoding(tmp_path: Path) -> None:
    path = tmp_path / "latin.config"
    path.write_bytes('eval_config {}\nmodel_dir: "Mod\u00e8le"'.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.config:2:16: byte 0xe8 is not UTF-8"):
        load_pipeline_config(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such pipeline config"):
        load_pipeline_config(tmp_path / "none.config")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_pipeline_config(tmp_path)


def test_endless_nesting_is_an_error_too() -> None:
    text = "feature_configs { custom_feature { operator_params { " + 'fields { key: "a" value { struct_value { ' * 1000
    assert "nested too deeply" in error_of(text).message


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_damage_gives_a_config_or_a_config_error(data: st.DataObject) -> None:
    text = 'model_dir: "m"\ndata_config { batch_size: 4 label_fields: ["a", "b"] dataset_type: CsvDataset }\n# end\n'
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 8)))
    junk = data.draw(st.text(alphabet="{}[]<>:;,\"'\\ \nab1-.#é", max_size=6))
    with contextlib.suppress(ConfigError):
        parse_pipeline_config(text[:start] + junk + text[end:])
