"""Trains and evaluates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recinfer.errors import ConfigError
from recinfer.main.config import PathLike, load_config, set_paths

if TYPE_CHECKING:
    from recinfer.features.base import Feature
    from recinfer.models.base import Model
    from recinfer.train.batches import BatchSource
    from recinfer.train.reports import StepResult, TrainReport


def train_and_evaluate(
    pipeline_config: PathLike,
    *,
    train_input_path: str | None = None,
    eval_input_path: str | None = None,
    model_dir: PathLike | None = None,
    overrides: Sequence[str] = (),
    edit_config_json: str | None = None,
    seed: int = 0,
    on_step: Callable[[StepResult], None] | None = None,
) -> TrainReport:
    """Trains a model, going on from its latest checkpoint, and evaluates it; saves the config beside the checkpoints.

    Raises:
        ConfigError, InputError, BadRowError, ModelError, OutputError: see :func:`recinfer.train.trainer.train`.
    """
    from recinfer.config.problems import raise_problems
    from recinfer.config.save import save_pipeline_config
    from recinfer.env import read_environment
    from recinfer.train.readiness import training_problems
    from recinfer.train.trainer import train

    config = load_config(pipeline_config, overrides, edit_config_json)
    set_paths(config, train_input_path=train_input_path, eval_input_path=eval_input_path, model_dir=model_dir)
    # Before the model is built, whose tables may take minutes.
    raise_problems(training_problems(config))
    features, model = new_model(config, seed)
    train_source = source(config, model, features, config.train_input_path, training=True, seed=seed)
    eval_source = (
        source(config, model, features, config.eval_input_path, training=False) if config.eval_input_path else None
    )
    save_pipeline_config(config, Path(config.model_dir) / "pipeline.config")
    return train(config, model, train_source, eval_source, environment=read_environment(), on_step=on_step)


def evaluate(
    pipeline_config: PathLike,
    *,
    checkpoint_path: PathLike | None = None,
    eval_input_path: str | None = None,
    eval_result_path: PathLike | None = None,
    overrides: Sequence[str] = (),
    edit_config_json: str | None = None,
) -> dict[str, float]:
    """The metrics of a checkpoint over a table, also written as JSON.

    Args:
        checkpoint_path: ``latest`` (default), ``best``, a checkpoint, or a folder of checkpoints.
        eval_result_path: by default ``eval_result.json``; a bare name lies in the model folder, as in TorchEasyRec.
    """
    from recinfer.train.checkpoint import load
    from recinfer.train.checkpoint_folders import step_of
    from recinfer.train.evaluator import evaluate as measure
    from recinfer.train.evaluator import write_results

    config = load_config(pipeline_config, overrides, edit_config_json)
    set_paths(config, eval_input_path=eval_input_path)
    checkpoint = choose_checkpoint(config, checkpoint_path)
    features, model = new_model(config)
    load(model, checkpoint, use_ema=config.eval_config.use_dense_ema)
    rows = source(config, model, features, config.eval_input_path, training=False)
    metrics = measure(model, model.tasks, rows, eval_config=config.eval_config)
    target = Path(eval_result_path or "eval_result.json")
    if target.parent == Path("."):
        target = Path(config.model_dir) / target
    write_results(target, step_of(checkpoint), metrics)
    return metrics


def new_model(config: Any, seed: int = 0) -> tuple[list[Feature], Model]:
    """The features that the config's model reads, and the model with new parameters.

    Raises:
        ConfigError: all that is wrong with the config.
    """
    import torch

    from recinfer.config.check import check_config
    from recinfer.config.problems import raise_problems
    from recinfer.features import build_features
    from recinfer.features.used import used_features
    from recinfer.models import MODELS, build_model

    raise_problems(check_config(config, MODELS))
    torch.manual_seed(seed)
    features = build_features(config)
    return used_features(config, features), build_model(config, features)


def source(
    config: Any, model: Model, features: list[Feature], path: str, *, training: bool, seed: int = 0
) -> BatchSource:
    """Batches of a table, to learn from or to measure on.

    Raises:
        ConfigError: the config names no input.
        InputError: the table does not fit.
    """
    from recinfer.data.parser import Parser
    from recinfer.data.readers import open_reader
    from recinfer.data.readers.csv_options import from_data_config
    from recinfer.train.batches import BatchSource, evaluation_options, training_options
    from recinfer.train.metrics import grouping_columns

    if not path:
        name = "train_input_path" if training else "eval_input_path"
        raise ConfigError(f"the config has no {name}", f"set {name}, or give it on the command line")
    options = training_options if training else evaluation_options
    return BatchSource(
        open_reader(path, csv=from_data_config(config.data_config)),
        Parser(features, for_model=True),
        options(config.data_config, grouping_columns(model.tasks)),
        seed,
    )


def choose_checkpoint(config: Any, wanted: PathLike | None, default: str = "latest") -> Path:
    """A checkpoint from what a user says: ``latest``, ``best``, or a path.

    Raises:
        ModelError: there is none such.
    """
    from recinfer.train.checkpoint_folders import best, find_checkpoint, latest

    chosen = str(wanted or default or "latest")
    if chosen == "latest":
        return latest(config.model_dir)
    if chosen == "best":
        settings = config.export_config
        return best(config.model_dir, settings.best_exporter_metric, settings.metric_larger_is_better)
    return find_checkpoint(chosen)
