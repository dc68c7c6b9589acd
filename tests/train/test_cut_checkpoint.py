"""Checkpoints that were cut off half way, at any file: never the latest, never the best, never taken by name."""

from __future__ import annotations

import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from google.protobuf import text_format

from recinfer.config.save import save_pipeline_config
from recinfer.errors import ModelError
from recinfer.main import import_checkpoint
from recinfer.protos.pipeline_pb2 import EasyRecConfig
from recinfer.train import checkpoint_parts
from recinfer.train.checkpoint import best, checkpoints, delete_old, find_checkpoint, latest, read_position
from recinfer.train.checkpoint_folders import record_results
from recinfer.train.checkpoint_parts import discard
from recinfer.train.checkpoint_storage import read_all
from recinfer.train.trainer import train

from .conftest import DIN, make_table, new_model, source

# A checkpoint with every part that there is: moving averages, and the history of a zero-collision table.
TEXT = DIN.replace("num_buckets: 20", "zch { zch_size: 12 eviction_interval: 3 lfu {} }").replace(
    "num_epochs: 2", "num_steps: 2 save_checkpoints_steps: 1"
)
FILES = [
    "meta.json",
    "plan",
    *(f"{part}/{name}" for part in ("model", "optimizer", "ema", "zch") for name in (".metadata", "__0_0.distcp")),
]
REFERENCE_FILES = [
    "plan",
    *(f"{part}/{name}" for part in ("model", "optimizer") for name in (".metadata", "__0_0.distcp")),
]


def config_of(steps: int = 2) -> Any:
    config = text_format.Parse(TEXT, EasyRecConfig())
    config.train_config.dense_optimizer.ema.decay = 0.9
    config.train_config.num_steps = steps
    return config


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rows, and a model folder with checkpoints of steps 1 and 2."""
    folder = tmp_path_factory.mktemp("cut")
    table = make_table(96, 1)
    table = table.set_column(0, "user", pa.array([user * 7919 for user in table["user"].to_pylist()]))
    pq.write_table(table, folder / "rows.parquet")
    run(folder, 2)
    return folder


def run(folder: Path, steps: int) -> Any:
    config = config_of(steps)
    return train(config, new_model(config), source(config, folder / "rows.parquet"), model_dir=folder / "model")


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt, whose later checkpoint is the best."""
    shutil.copytree(trained, tmp_path / "home")
    for step, auc in ((1, 0.6), (2, 0.8)):
        record_results(tmp_path / "home" / "model", step, {"auc": auc})
    return tmp_path / "home"


def cut(path: Path, how: str) -> None:
    size = path.stat().st_size
    if how == "gone":
        path.unlink()
    else:
        os.truncate(path, {"empty": 0, "half": size // 2, "last byte": size - 1}[how])


def test_these_are_all_files(trained: Path) -> None:
    folder = trained / "model" / "model.ckpt-2"
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == sorted(FILES)
    assert latest(trained / "model") == folder


@pytest.mark.parametrize("how", ["gone", "empty", "half", "last byte"])
@pytest.mark.parametrize("file", FILES)
def test_what_is_cut_is_never_picked(home: Path, file: str, how: str, caplog: pytest.LogCaptureFixture) -> None:
    folder = home / "model"
    good, bad = folder / "model.ckpt-1", folder / "model.ckpt-2"
    assert best(folder, "auc") == bad
    if (file, how) == ("meta.json", "last byte"):
        how = "half"  # Its last byte is the end of a line.
    cut(bad / file, how)
    if (file, how) == ("meta.json", "gone"):
        # Without its list it is as one of TorchEasyRec: whole in what is there, as long as nothing else is missing.
        assert latest(folder) == bad
        cut(bad / "model" / "__0_0.distcp", "last byte")
    with caplog.at_level(logging.WARNING, "recinfer"):
        assert latest(folder) == good
    assert f"{bad} is incomplete" in caplog.text
    assert best(folder, "auc") == good
    assert checkpoints(folder) == [good] and delete_old(folder, 1) == []
    with pytest.raises(ModelError, match=r"is incomplete: .*" + (file.rsplit("/", 1)[-1] if how != "gone" else "")):
        find_checkpoint(bad)


@pytest.mark.parametrize("part", ["model", "optimizer", "ema", "zch"])
def test_a_part_that_was_not_copied_is_missed(home: Path, part: str) -> None:
    shutil.rmtree(home / "model" / "model.ckpt-2" / part)
    assert latest(home / "model").name == "model.ckpt-1"


@pytest.mark.parametrize("file", ["optimizer/__0_0.distcp", "plan"])
def test_training_goes_on_from_the_one_before(home: Path, file: str, caplog: pytest.LogCaptureFixture) -> None:
    cut(home / "model" / "model.ckpt-2" / file, "half")
    with caplog.at_level(logging.WARNING, "recinfer"):
        report = run(home, 3)
    assert "model.ckpt-2 is incomplete, and passed over" in caplog.text
    assert report.resumed_from == home / "model" / "model.ckpt-1" and report.step == 3
    assert [path.name for path in checkpoints(home / "model")] == ["model.ckpt-1", "model.ckpt-2", "model.ckpt-3"]


@pytest.mark.parametrize("how", ["gone", "empty", "half", "last byte"])
@pytest.mark.parametrize("file", REFERENCE_FILES)
def test_one_of_the_reference(shared: Path, tmp_path: Path, file: str, how: str) -> None:
    folder = tmp_path / "model" / "model.ckpt-11"
    shutil.copytree(shared / "checkpoints" / "deepfm_criteo" / "model.ckpt-11", folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)
    assert latest(tmp_path / "model") == folder
    cut(folder / file, how)
    if (file, how) == ("plan", "gone"):
        assert checkpoints(tmp_path / "model") == [folder], "nothing says that there was one"
    else:
        assert checkpoints(tmp_path / "model") == []


def test_a_crash_while_deleting_leaves_nothing_that_could_be_picked(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(path: Path) -> None:
        (path / "meta.json").unlink()
        shutil.copy(path / "plan", path / "kept")
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint_parts.shutil, "rmtree", dies)
    with pytest.raises(KeyboardInterrupt):
        discard(home / "model" / "model.ckpt-2")
    assert [path.name for path in checkpoints(home / "model")] == ["model.ckpt-1"]


def test_checkpoints_from_before_parts_were_listed(home: Path) -> None:
    meta = home / "model" / "model.ckpt-2" / "meta.json"
    text = meta.read_text(encoding="utf-8")
    assert '"parts"' in text
    meta.write_text(text[: text.index(',\n  "parts"')] + "\n}\n", encoding="utf-8")
    assert latest(home / "model") == meta.parent
    assert read_position(meta.parent).step == 2


@pytest.mark.parametrize("parts", ["7", '["model", 7]', '["../model"]', "null"])
def test_a_list_of_parts_that_is_none(home: Path, parts: str) -> None:
    meta = home / "model" / "model.ckpt-2" / "meta.json"
    content = json.loads(meta.read_text(encoding="utf-8"))
    meta.write_text(json.dumps(content | {"parts": json.loads(parts)}), encoding="utf-8")
    with pytest.raises(ModelError, match="lists parts that no checkpoint has"):
        find_checkpoint(meta.parent)


def test_a_checkpoint_with_all_parts_is_imported(home: Path) -> None:
    """Zero-collision tables and averages too; what such tables saw since their last choice stays behind."""
    config = config_of()
    save_pipeline_config(config, home / "pipeline.config")
    report = import_checkpoint(home / "model", home / "mine", home / "pipeline.config")
    old, new = home / "model" / "model.ckpt-2", home / "mine" / "model.ckpt-2"
    for part in ("model", "optimizer", "ema"):
        torch.testing.assert_close(read_all(new / part), read_all(old / part), rtol=0, atol=0)
    assert not (new / "zch").exists() and report.averages == len(read_all(old / "ema")) - 1
    assert read_position(new) == read_position(old)
