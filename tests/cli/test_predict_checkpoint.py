"""``recinfer predict --pipeline_config``: one process, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import Result
from google.protobuf import text_format

from recinfer.data.parser import Parser
from recinfer.main.checkpoint_model import TWO_TOWERS
from recinfer.protos.model_pb2 import ModelConfig
from recinfer.train.checkpoint import Position, TrainState, save
from recinfer.train.learner import ModelHolder
from tests.synthetic import config_of, model_of

Run = Callable[..., Result]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A DeepFM with two checkpoints, of step 1 and 2 and seeds as many."""
    made = config_of("deepfm")
    made.model_dir = str(tmp_path / "model")
    path = tmp_path / "pipeline.config"
    path.write_text(text_format.MessageToString(made))
    for step in (1, 2):
        save(TrainState(ModelHolder(model_of(made, step)[0])), Position(step), made.model_dir)
    return path


@pytest.mark.parametrize(("flags", "seed"), [((), 2), (("--checkpoint_path", "latest"), 2), (("named",), 1)])
def test_one_process_scores_with_the_checkpoint_that_is_asked_for(
    flags: tuple[str, ...], seed: int, run: Run, config: Path, rows: Path, tmp_path: Path
) -> None:
    named = ("--checkpoint_path", tmp_path / "model" / "model.ckpt-1")
    paths = ("--predict_input_path", rows, "--predict_output_path", tmp_path / "out")
    result = run("predict", "--pipeline_config", config, *paths, *(named if flags == ("named",) else flags))
    assert result.exit_code == 0, result.stderr
    model, features = model_of(config_of("deepfm"), seed)
    with torch.no_grad():
        expected = model(Parser(features, for_model=True)(pq.read_table(rows).combine_chunks().to_batches()[0]))
    found = pq.read_table(tmp_path / "out" / "part-00000.parquet")
    np.testing.assert_allclose(found["probs"].to_numpy(), expected["probs"].numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), "Give one of --scripted_model_path and --pipeline_config."),
        (("--scripted_model_path", "a", "--pipeline_config_path", "b"), "Give one of"),
        (("--scripted_model_path", "a", "--checkpoint_path", "b"), "--checkpoint_path goes with --pipeline_config."),
        (("--scripted_model_path", "a", "-o", "model_dir=b"), "-o goes with --pipeline_config."),
        (("--pipeline_config", "a", "--fallback", "jit"), "--fallback goes with --scripted_model_path."),
    ],
)
def test_flags_that_do_not_go_together(flags: tuple[str, ...], said: str, run: Run, rows: Path, tmp_path: Path) -> None:
    result = run("predict", *flags, "--predict_input_path", rows, "--predict_output_path", tmp_path / "out")
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize("name", TWO_TOWERS)
def test_models_of_two_towers_are_refused_with_the_reason(name: str, run: Run, rows: Path, tmp_path: Path) -> None:
    path = tmp_path / "pipeline.config"
    message = config_of("deepfm")
    message.model_config.CopyFrom(ModelConfig())
    getattr(message.model_config, name).SetInParent()
    path.write_text(text_format.MessageToString(message, as_utf8=True))
    paths = ("--predict_input_path", rows, "--predict_output_path", tmp_path / "out")
    result = run("predict", "--pipeline_config", path, *paths)
    assert result.exit_code == 3
    assert f"model `{name}` cannot predict from a checkpoint: its towers are used apart" in result.stderr


def test_all_match_models_of_the_schema_are_known() -> None:
    # The schema numbers them from 301, and TDM 400.
    numbers = {field.name: field.number for field in ModelConfig.DESCRIPTOR.oneofs_by_name["model"].fields}
    assert {name for name, number in numbers.items() if 301 <= number <= 400} == set(TWO_TOWERS)
