"""Loads configs with a user's overrides, and finds what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recinfer.config.problems import Problem
    from recinfer.data.parser import Parser

PathLike = str | Path


def load_config(pipeline_config: PathLike, overrides: Sequence[str] = (), edit_config_json: str | None = None) -> Any:
    """A pipeline config with a user's overrides.

    Args:
        pipeline_config: path of the text config.
        overrides: ``path.to.field=value``, applied in order.
        edit_config_json: ``{"path.to.field": value}``, applied after them.

    Raises:
        ConfigError: it does not parse, or an override does not fit.
    """
    from recinfer.config.load import load_pipeline_config
    from recinfer.config.override import apply_json_edits, apply_overrides

    config = apply_overrides(load_pipeline_config(_local(pipeline_config)), list(overrides))
    return apply_json_edits(config, edit_config_json) if edit_config_json else config


def _local(pipeline_config: PathLike) -> PathLike:
    """A config in an object store as a local file."""
    if "://" not in str(pipeline_config):
        return pipeline_config
    from recinfer.data.storage.fetched import local_file
    from recinfer.errors import ConfigError

    try:
        return local_file(pipeline_config)
    except OSError as error:
        raise ConfigError(f"{pipeline_config}: cannot be read: {error}", getattr(error, "hint", None)) from error


def load_parser(pipeline_config: PathLike | Any) -> Parser:
    """The parser of a config: ``parser(record_batch) -> dict[str, Tensor]``.

    Args:
        pipeline_config: path, or a loaded config; only ``data_config`` and ``feature_configs`` are needed.
    """
    from recinfer.data.parser import Parser
    from recinfer.features import build_features

    config = load_config(pipeline_config) if isinstance(pipeline_config, str | Path) else pipeline_config
    return Parser(build_features(config))


def validate(
    pipeline_config: PathLike,
    *,
    data: str | None = None,
    overrides: Sequence[str] = (),
    edit_config_json: str | None = None,
) -> list[Problem]:
    """Every problem of a config, and of data against it, in one go; empty where there is none.

    Args:
        data: a table to hold the config's columns and types against.

    Raises:
        ConfigError: the config does not even parse.
        InputError: the config is sound, and the data cannot be read.
    """
    from recinfer.config.check import check_config
    from recinfer.config.problems import Problem
    from recinfer.config.supported_models import SUPPORTED_MODELS
    from recinfer.errors import InputError
    from recinfer.main.data_check import data_problems
    from recinfer.train.readiness import training_problems

    config = load_config(pipeline_config, overrides, edit_config_json)
    # The rules say all that building would: no model is built, and torch is not even imported.
    problems = check_config(config, SUPPORTED_MODELS)
    if not any(problem.where.startswith("train_config") for problem in problems):
        problems += training_problems(config)
    problems = problems or _table_problems(config)
    try:
        return problems + (data_problems(config, data) if data else [])
    except InputError as error:
        if not problems:
            raise
        return [*problems, Problem(str(data), error.message, error.hint)]


def _table_problems(config: Any) -> list[Problem]:
    """Vocabularies of features that cannot be read: the sizes of their tables lie in files."""
    from recinfer.config.problems import Problem
    from recinfer.errors import ConfigError
    from recinfer.features import build_features
    from recinfer.features.used import used_features

    problems = []
    for feature in used_features(config, build_features(config)):
        try:
            assert not feature.is_sparse or feature.table_rows >= 0
        except ConfigError as error:
            problems.append(Problem(f"feature `{feature.name}`", error.message, error.hint))
    return problems


def set_paths(config: Any, **values: Any) -> None:
    """Sets the paths that a user gave on the command line in place of the config's."""
    for name, value in values.items():
        if value is not None:
            setattr(config, name, str(value))
