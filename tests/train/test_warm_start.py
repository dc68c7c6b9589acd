"""Fine-tuning from checkpoints that fit in part, or under other names."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from recinfer.errors import ConfigError, ModelError
from recinfer.train.checkpoint import Position, TrainState, save
from recinfer.train.learner import ModelHolder
from recinfer.train.reports import StepResult
from recinfer.train.trainer import train
from recinfer.train.warm_start import warm_start
from recinfer.train.warm_start_names import read_name_map

from .conftest import new_model, source


@pytest.fixture()
def stored(tmp_path: Path) -> tuple[Path, nn.ModuleDict]:
    """A checkpoint, and the model that it was made from."""
    model = nn.ModuleDict({"bottom": nn.Linear(3, 4), "old": nn.Linear(4, 2)})
    return save(TrainState(ModelHolder(model)), Position(7), tmp_path / "old"), model


def test_what_is_there_is_taken_and_the_rest_stays(
    stored: tuple[Path, nn.ModuleDict], caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint, old = stored
    model = nn.ModuleDict({"bottom": nn.Linear(3, 4), "new": nn.Linear(4, 2)})
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with caplog.at_level(logging.WARNING, "recinfer"):
        assert warm_start(model, checkpoint.parent, {}) == checkpoint
    assert torch.equal(model["bottom"].weight, old["bottom"].weight)
    assert torch.equal(model["new"].weight, before["new.weight"])
    assert "does not have them: model.new.weight, model.new.bias" in caplog.text


def test_names_map_one_to_several(stored: tuple[Path, nn.ModuleDict], caplog: pytest.LogCaptureFixture) -> None:
    checkpoint, old = stored
    model = nn.ModuleDict({"old": nn.Linear(4, 2), "first": nn.Linear(4, 2), "second": nn.Linear(4, 2)})
    names = {f"model.{ours}.{part}": f"model.old.{part}" for ours in ("first", "second") for part in ("weight", "bias")}
    warm_start(model, checkpoint, names)
    for name in ("old", "first", "second"):
        assert torch.equal(model[name].weight, old["old"].weight)
        assert torch.equal(model[name].bias, old["old"].bias)
    assert "does not have them" not in caplog.text


def test_what_cannot_be_taken_is_an_error(stored: tuple[Path, nn.ModuleDict]) -> None:
    checkpoint, _ = stored
    with pytest.raises(ModelError, match=r"bottom\.weight: \(4, 3\) in the checkpoint, \(4, 5\) in the model"):
        warm_start(nn.ModuleDict({"bottom": nn.Linear(5, 4)}), checkpoint, {})
    with pytest.raises(ModelError, match="has nothing of the model"):
        warm_start(nn.ModuleDict({"other": nn.Linear(3, 4)}), checkpoint, {})
    model = nn.ModuleDict({"bottom": nn.Linear(3, 4)})
    with pytest.raises(ModelError, match=r"'model\.botom\.weight', which is not in the model"):
        warm_start(model, checkpoint, {"model.botom.weight": "model.old.weight"})
    with pytest.raises(ModelError, match=r"'model\.gone', which is not in the checkpoint"):
        warm_start(model, checkpoint, {"model.bottom.weight": "model.gone"})


def test_files_of_names(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("model.a model.b\n\n  model.c\tmodel.b \n")
    assert read_name_map(path) == {"model.a": "model.b", "model.c": "model.b"}
    path.write_text("model.a model.b\nmodel.c\n")
    with pytest.raises(ConfigError, match=r"line 2 of .*names\.txt is no pair"):
        read_name_map(path)
    path.write_text("model.a model.b\nmodel.a model.c\n")
    with pytest.raises(ConfigError, match=r"line 2 .* maps 'model.a' again"):
        read_name_map(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_name_map(tmp_path / "nowhere")


def test_training_takes_sharded_tables_under_other_names(config: Any, data: Path, tmp_path: Path) -> None:
    """With rates of 0, a model with renamed parts ends as the one that it was fine-tuned from."""
    config.train_config.sparse_optimizer.adagrad_optimizer.lr = 0
    config.train_config.dense_optimizer.adam_optimizer.lr = 0
    config.train_config.num_epochs = 1
    first = new_model(config, 11)
    expected = {name: tensor.clone() for name, tensor in first.state_dict().items()}
    checkpoint = save(TrainState(ModelHolder(first)), Position(1), tmp_path / "first")
    config.feature_configs[0].id_feature.embedding_name = "person"
    table = "model.embedding_group.emb_impls.__BASE__.ebc.embedding_bags.{}.weight"
    (tmp_path / "names").write_text(f"{table.format('person')} {table.format('user_emb')}\n")
    config.train_config.fine_tune_checkpoint = str(checkpoint)
    config.train_config.fine_tune_ckpt_param_map = str(tmp_path / "names")
    steps: list[StepResult] = []
    report = train(
        config,
        new_model(config, 12),
        source(config, data / "train.parquet"),
        model_dir=tmp_path / "second",
        on_step=steps.append,
    )
    final = new_model(config, 13)
    warm_start(final, report.checkpoint, {})
    found = {name.replace(".person.", ".user_emb."): tensor for name, tensor in final.state_dict().items()}
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        if "running" not in name and "num_batches" not in name:
            assert torch.equal(found[name], tensor), name
