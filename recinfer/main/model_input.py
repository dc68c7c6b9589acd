"""A new model of a config, and the rows that it learns from or is measured on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from recinfer.env import Environment
from recinfer.errors import ConfigError
from recinfer.main.config import PathLike

if TYPE_CHECKING:
    from recinfer.features.base import Feature
    from recinfer.models.base import Model
    from recinfer.train.batches import BatchSource


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
    config: Any,
    model: Model,
    features: list[Feature],
    path: str,
    *,
    training: bool,
    seed: int = 0,
    environment: Environment | None = None,
) -> BatchSource:
    """This process's batches of a table, to learn from or to measure on.

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
    ranks = environment or Environment()
    return BatchSource(
        open_reader(path, csv=from_data_config(config.data_config)),
        Parser(features, for_model=True),
        options(config.data_config, grouping_columns(model.tasks)),
        seed,
        ranks.rank,
        ranks.world_size,
    )


def need_model_dir(config: Any) -> None:
    """Refuses a config without ``model_dir``; an empty path would mean the current folder.

    Raises:
        ConfigError: it has none.
    """
    if not config.model_dir:
        raise ConfigError("the config has no model_dir", "set model_dir, or give it on the command line")


def choose_checkpoint(config: Any, wanted: PathLike | None, default: str = "latest") -> Path:
    """A checkpoint from what a user says: ``latest``, ``best``, or a path.

    Raises:
        ConfigError: it would lie in the model folder, and the config names none.
        ModelError: there is none such.
    """
    from recinfer.train.checkpoint_folders import best, find_checkpoint, latest

    chosen = str(wanted or default or "latest")
    if chosen in ("latest", "best"):
        need_model_dir(config)
    if chosen == "latest":
        return latest(config.model_dir)
    if chosen == "best":
        settings = config.export_config
        return best(config.model_dir, settings.best_exporter_metric, settings.metric_larger_is_better)
    return find_checkpoint(chosen)
