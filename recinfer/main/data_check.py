"""Holds the columns of a table against a config."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from recinfer.config.problems import Problem
from recinfer.errors import ConfigError, InputError

if TYPE_CHECKING:
    import pyarrow as pa

    from recinfer.features.base import Feature


def data_problems(config: Any, data: str) -> list[Problem]:
    """Every column that the config reads and the table lacks, or holds in a type that does not fit.

    Args:
        config: an ``EasyRecConfig`` message. What is wrong with it is not told here: its sound parts are checked.
        data: a file, folder, glob or comma list.

    Raises:
        InputError: the data cannot be read.
    """
    from recinfer.data.readers import open_reader
    from recinfer.data.readers.csv_options import from_data_config
    from recinfer.features.used import used_features

    schema = open_reader(data, csv=from_data_config(config.data_config)).schema
    errors = [error for feature in used_features(config, _sound(config)) for error in _misfits(feature, schema)]
    errors += [error for error in _other_columns(config, schema) if str(error) not in map(str, errors)]
    return [Problem(data, error.message, error.hint) for error in errors]


def _sound(config: Any) -> list[Feature]:
    """The features that can be built; each entry alone, so that a broken one does not hide the others."""
    from recinfer.config.view import ConfigView
    from recinfer.features import build_features

    found = []
    for entry in config.feature_configs:
        alone = type(config)(data_config=config.data_config, feature_configs=[entry])
        named = [each for each in ConfigView(alone).features if each.name]
        members = len(entry.sequence_feature.features) if entry.HasField("sequence_feature") else 1
        if len(named) != members:
            continue
        try:
            found += build_features(alone)
        except ConfigError:
            continue
    return found


def _misfits(feature: Feature, schema: pa.Schema) -> list[InputError]:
    from recinfer.data.parser import Parser

    try:
        return Parser([feature]).check_schema(schema)
    except ConfigError:
        return []


def _other_columns(config: Any, schema: pa.Schema) -> Iterator[InputError]:
    from recinfer.config.columns import grouping_columns, number_columns
    from recinfer.data.parser import missing_column
    from recinfer.train.label_columns import check_number_columns

    numbers, groups = number_columns(config), grouping_columns(config)
    for name in dict.fromkeys([*numbers, *groups]):
        if schema.names.count(name) != 1:
            yield missing_column(name, schema.names)
        elif name in numbers:
            try:
                check_number_columns(schema, [name])
            except InputError as error:
                yield error
