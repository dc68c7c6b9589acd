"""Optimizer state from other plans and other hands."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from recinfer.config.load import load_pipeline_config
from recinfer.distributed.process_group import process_group
from recinfer.distributed.shards import local_parts
from recinfer.env import Environment
from recinfer.errors import ModelError
from recinfer.train.checkpoint import Position, TrainState, load_training, save
from recinfer.train.checkpoint_storage import read_all, write_tensors
from recinfer.train.learner import Learner
from recinfer.train.optimizer_state import fused_state, load_optimizer_state, optimizer_state, split_key
from recinfer.train.settings import read_settings

from .conftest import new_model


@pytest.fixture(scope="module")
def group() -> Iterator[dist.ProcessGroup]:
    with process_group(Environment()) as found:
        yield found


def learner_of(config: Any, group: dist.ProcessGroup) -> Learner:
    settings = read_settings(config.train_config)
    return Learner(new_model(config), config.train_config, settings, group, torch.device("cpu"))


def test_the_references_training_goes_on(
    shared: Path, group: dist.ProcessGroup, caplog: pytest.LogCaptureFixture
) -> None:
    """Its planner gave small tables to the dense optimizer; those start anew, all else is as it was."""
    folder = shared / "checkpoints" / "deepfm_criteo"
    learner = learner_of(load_pipeline_config(folder / "pipeline.config"), group)
    fresh = {key: local_parts(value)[0][1].clone() for key, value in fused_state(learner.tables.fused).items()}
    with caplog.at_level(logging.WARNING, "recinfer"):
        assert load_training(learner.state, folder / "model.ckpt-11") == Position(11)
    stored = read_all(folder / "model.ckpt-11" / "optimizer")
    found = {
        key: local_parts(value)[0][1] for key, value in optimizer_state(learner.dense, learner.tables.fused).items()
    }
    moved = [key for key in found if key not in stored]
    assert len(moved) == 29 and "start without state: cat_0_emb_wide, " in caplog.text and "and 24 more" in caplog.text
    for key, value in found.items():
        assert torch.equal(value, fresh[key] if key in moved else stored[key]), key
    assert sum(key.endswith("exp_avg_sq") for key in found) == 10
    assert sum(key.endswith("momentum1") and bool(stored[key].any()) for key in found.keys() - set(moved)) > 10


@pytest.fixture
def learner(config: Any, group: dist.ProcessGroup) -> Learner:
    return learner_of(config, group)


def write(learner: Learner, folder: Path, changes: dict[str, torch.Tensor | None]) -> Path:
    """The learner's own optimizer state, with entries set or (None) left out."""
    state = {
        key: local_parts(value)[0][1] for key, value in optimizer_state(learner.dense, learner.tables.fused).items()
    }
    state |= {key: value for key, value in changes.items() if value is not None}
    write_tensors(folder, {key: value for key, value in state.items() if changes.get(key, value) is not None})
    return folder


def test_tables_that_learned_in_kernels_and_do_not_here(
    learner: Learner, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dense = next(iter(learner.parameters))
    table = dense.removesuffix(".weight").rpartition(".")[2]
    folder = write(learner, tmp_path / "optimizer", {f"state.{dense}.{table}.momentum1": torch.ones(3)})
    with caplog.at_level(logging.WARNING, "recinfer"):
        load_optimizer_state(folder, learner.dense, learner.tables.fused)
    assert f"start without state: {table}" in caplog.text


def test_state_of_others_is_refused(learner: Learner, tmp_path: Path) -> None:
    dense, table = next(iter(learner.parameters)), next(iter(fused_state(learner.tables.fused)))
    cases: dict[str, dict[str, torch.Tensor | None]] = {
        "holds state.model.gone.exp_avg": {"state.model.gone.exp_avg": torch.ones(2)},
        f"lacks {table}": {table: None},
        "not of its parameter's": {f"state.{dense}.exp_avg": torch.ones(1, 2, 3)},
    }
    for number, (message, changes) in enumerate(cases.items()):
        folder = write(learner, tmp_path / str(number) / "optimizer", changes)
        with pytest.raises(ModelError) as caught:
            load_optimizer_state(folder, learner.dense, learner.tables.fused)
        assert message in str(caught.value)


def test_a_table_of_another_shape_is_refused(learner: Learner, tmp_path: Path) -> None:
    checkpoint = save(learner.state, Position(1), tmp_path)
    key = next(iter(fused_state(learner.tables.fused)))
    folder = write(learner, tmp_path / "other" / "optimizer", {key: torch.ones(7)})
    (checkpoint / "model").rename(tmp_path / "other" / "model")
    with pytest.raises(ModelError, match=r"has shape \(7,\), here it has"):
        load_optimizer_state(folder, learner.dense, learner.tables.fused)


def test_a_checkpoint_without_optimizer_does_not_resume(learner: Learner, tmp_path: Path) -> None:
    state: TrainState = learner.state
    write_tensors(tmp_path / "model.ckpt-4" / "model", state.module.state_dict())
    with pytest.raises(ModelError, match="has no optimizer state to go on with"):
        load_training(state, tmp_path / "model.ckpt-4")


def test_keys_are_split_at_the_longest_name() -> None:
    names = {"model.a", "model.a.weight"}
    assert split_key("state.model.a.weight.step", names) == ("model.a.weight", "step")
    assert split_key("state.model.a.weight.a.momentum1", names) == ("model.a.weight", "a.momentum1")
    assert split_key("state.model.a.bias", names) == ("model.a", "bias")
    assert split_key("model.a.weight.step", names) == ("", "")
    assert split_key("state.model.b.step", names) == ("", "")
