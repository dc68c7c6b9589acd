"""Trains small models of several kinds for a few steps: every part learns, and every column it needs is read."""

from __future__ import annotations

import math
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from recinfer.config.load import load_pipeline_config
from recinfer.data.parser import Parser
from recinfer.data.readers.parquet import ParquetReader
from recinfer.distributed.process_group import process_group
from recinfer.env import Environment
from recinfer.errors import ConfigError, InputError
from recinfer.features import build_features
from recinfer.train.batches import BatchSource, training_options
from recinfer.train.checkpoint import load
from recinfer.train.evaluator import evaluate
from recinfer.train.learner import Learner
from recinfer.train.reports import StepResult
from recinfer.train.settings import read_settings
from recinfer.train.trainer import train

from .conftest import new_model

MODELS = (
    "rocket_launching_criteo",
    "mmoe_taobao",
    "dbmtl_taobao",
    "dbmtl_taobao_jrc",
    "dbmtl_has_sequence_variational_dropout_mock",
    "pepnet_taobao",
)
# What of a loss's parts is not named after a task.
OWN_LOSSES = {
    "rocket_launching_criteo": {"hint_l2_loss", "similarity_0", "similarity_1", "similarity_2"},
    "dbmtl_has_sequence_variational_dropout_mock": {"deep_feature_p_loss"},
}


def prepare(shared: Path, name: str, folder: Path) -> tuple[Any, BatchSource]:
    """A golden's config and features, with labels made up here."""
    golden = shared / "goldens" / name
    if not golden.is_dir():
        pytest.skip(f"{golden} is not here")
    config = load_pipeline_config(golden / "pipeline.config")
    config.train_config.use_tensorboard = False
    config.train_config.num_steps = 3
    table = pq.read_table(golden / "input.parquet")
    rng = np.random.default_rng(8)
    labels = list(config.data_config.label_fields)
    for label in labels:
        values = pa.array(rng.integers(0, 3 if label == "occupation" else 2, table.num_rows))
        place = table.schema.get_field_index(label)
        table = table.append_column(label, values) if place < 0 else table.set_column(place, label, values)
    pq.write_table(table, folder / "rows.parquet")
    # Only the first label is asked for: tasks say what else they read.
    del config.data_config.label_fields[1:]
    options = training_options(config.data_config)
    return config, BatchSource(ParquetReader(str(folder / "rows.parquet")), Parser(build_features(config)), options)


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_learns(name: str, shared: Path, tmp_path: Path) -> None:
    config, source = prepare(shared, name, tmp_path)
    model = new_model(config)
    source = source.reading(model.training_tasks)
    with process_group(Environment()) as group:
        settings = read_settings(config.train_config)
        learner = Learner(model, config.train_config, settings, group, torch.device("cpu"))
        before = {key: parameter.detach().clone() for key, parameter in learner.module.named_parameters()}
        for step in range(2):
            for batch in islice(source.epoch(), 2):
                learner.set_rates(step, 0)
                loss, parts, _ = learner.forward(batch)
                assert math.isfinite(float(loss.detach()))
                learner.backward(loss)
        after = dict(learner.module.named_parameters())
        learned = {key for key, old in before.items() if not torch.equal(old, after[key].detach())}
    # The last bias of an attention shifts all scores alike, which its softmax does not see: it may or may not move.
    moves = {key for key, parameter in after.items() if parameter.requires_grad and not key.endswith(".linear.bias")}
    assert {key for key in learned if not key.endswith(".linear.bias")} == moves
    assert OWN_LOSSES.get(name, set()) <= set(parts)
    names = {task.name for task in model.training_tasks}
    assert all(any(part.endswith(f"_{task}") for part in parts) for task in names)


@pytest.mark.parametrize("name", ["rocket_launching_criteo", "pepnet_taobao", "dbmtl_taobao_jrc"])
def test_whole_training(name: str, shared: Path, tmp_path: Path) -> None:
    config, source = prepare(shared, name, tmp_path)
    model = new_model(config)
    tasks = [task.name for task in model.tasks]
    report = train(config, model, source, source, model_dir=tmp_path / "model")
    assert report.loss is not None
    assert math.isfinite(report.loss)
    assert set(report.metrics) == {f"auc_{task}" for task in tasks}


def test_weighing_tasks_by_pareto_efficiency(shared: Path, tmp_path: Path) -> None:
    """The first step's loss is the tasks' losses by weights that sum to 1; both tasks learn, tables too."""
    config, source = prepare(shared, "mmoe_taobao", tmp_path)
    config.train_config.num_steps = 1
    steps: list[StepResult] = []
    train(config, new_model(config), source, model_dir=tmp_path / "plain", on_step=steps.append)
    config.model_config.use_pareto_loss_weight = True
    for tower in config.model_config.mmoe.task_towers:
        tower.pareto_min_loss_weight = 0.3
    start, model = new_model(config), new_model(config)
    train(config, new_model(config), source, model_dir=tmp_path / "pareto", on_step=steps.append)
    plain, pareto = (float(step.loss) for step in steps)
    # Each of the two losses weighs between 0.3 and 0.7.
    assert 0.3 * plain < pareto < 0.7 * plain
    load(model, tmp_path / "pareto")
    before = start.state_dict()
    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    for part in ("_task_tower.0", "_task_tower.1", "embedding_bags"):
        assert any(part in name for name in moved), (part, sorted(moved))
    config.model_config.mmoe.task_towers[0].pareto_min_loss_weight = 0.7
    with pytest.raises(ConfigError, match=r"pareto_min_loss_weight .* 0\.7, 0\.3"):
        train(config, new_model(config), source, model_dir=tmp_path / "other")


def test_evaluation_reads_the_labels_that_tasks_name(shared: Path, tmp_path: Path) -> None:
    config, source = prepare(shared, "pepnet_taobao", tmp_path)
    assert source.options.labels == ("clk",)
    model = new_model(config)
    assert set(evaluate(model, model.tasks, source)) == {f"auc_{tower}_{n}" for tower in ("ctr", "cvr") for n in "012"}


def test_a_label_missing_from_the_evaluation_table_is_said_before_training(shared: Path, tmp_path: Path) -> None:
    config, source = prepare(shared, "pepnet_taobao", tmp_path)
    table = pq.read_table(tmp_path / "rows.parquet").drop_columns(["buy"])
    pq.write_table(table, tmp_path / "eval.parquet")
    poor = BatchSource(ParquetReader(str(tmp_path / "eval.parquet")), source.parser, source.options)
    steps: list[StepResult] = []
    with pytest.raises(InputError, match="buy"):
        train(config, new_model(config), source, poor, model_dir=tmp_path / "model", on_step=steps.append)
    assert steps == []
