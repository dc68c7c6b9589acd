from __future__ import annotations

import os
from pathlib import Path

import pytest

from recinfer.config.load import load_pipeline_config, parse_pipeline_config
from recinfer.config.save import save_pipeline_config, to_text
from recinfer.errors import OutputError
from recinfer.protos.pipeline_pb2 import EasyRecConfig

GOLDENS = Path(__file__).parents[3] / "shared" / "goldens"
CONFIGS = sorted(GOLDENS.glob("*/pipeline.config"))


@pytest.mark.skipif(not CONFIGS, reason="no goldens beside the checkout")
def test_golden_configs_survive_a_round_trip(tmp_path: Path) -> None:
    for path in CONFIGS:
        config = load_pipeline_config(path)
        save_pipeline_config(config, tmp_path / "copy.config")
        again = load_pipeline_config(tmp_path / "copy.config")
        assert again == config, path
        # Equal on the wire too, so that set and unset fields agree.
        assert again.SerializePartialToString(deterministic=True) == config.SerializePartialToString(deterministic=True)


def test_odd_values_survive(good: EasyRecConfig) -> None:
    good.model_dir = 'a"b\\c\n\té 中文'
    good.data_config.delimiter = "\x01"
    good.train_config.grad_clipping.max_gradient = 0.1
    good.feature_configs[0].id_feature.vocab_dict["\x1d"] = 2**64 - 1
    good.feature_configs[1].custom_feature.operator_params.update({"list": [1, "two", None, {"deep": True}]})
    assert parse_pipeline_config(to_text(good)) == good


def test_writing_replaces_and_leaves_nothing_beside(good: EasyRecConfig, tmp_path: Path) -> None:
    path = tmp_path / "new" / "pipeline.config"
    save_pipeline_config(good, path)
    good.data_config.batch_size = 7
    save_pipeline_config(good, str(path))
    assert load_pipeline_config(path).data_config.batch_size == 7
    assert os.listdir(path.parent) == ["pipeline.config"]


def test_a_failed_write_keeps_the_old_file(
    good: EasyRecConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pipeline.config"
    path.write_text("old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"pipeline\.config: cannot write the config: No space left"):
        save_pipeline_config(good, path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["pipeline.config"]


def test_a_folder_that_is_a_file(good: EasyRecConfig, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write the config"):
        save_pipeline_config(good, tmp_path / "file" / "pipeline.config")
