"""The rules of a config check: each a function from a view of the config to the problems that it sees."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from recinfer.config.problems import Problem
from recinfer.config.rules.embeddings import embedding_dim_is_set, pooling_is_known, table_size_is_set
from recinfer.config.rules.features import boundaries_ascend, features_are_defined, names_are_unique
from recinfer.config.rules.groups import features_exist, group_names_are_unique, sequence_encoders_read_groups
from recinfer.config.rules.labels import labels_are_set, task_labels_exist
from recinfer.config.rules.model_inputs import inputs_exist, related_towers_exist, tower_names_are_unique
from recinfer.config.rules.presence import batch_size_is_positive, parts_are_present, required_fields_are_set
from recinfer.config.rules.shared_tables import shared_tables_agree
from recinfer.config.rules.unsupported import (
    data_source_is_supported,
    feature_generation_is_supported,
    feature_options_are_supported,
    model_is_supported,
    sampler_is_supported,
    train_options_are_supported,
)
from recinfer.config.view import ConfigView

Rule = Callable[[ConfigView], Iterable[Problem]]

RULES: list[Rule] = [
    parts_are_present,
    required_fields_are_set,
    batch_size_is_positive,
    model_is_supported,
    data_source_is_supported,
    feature_generation_is_supported,
    sampler_is_supported,
    train_options_are_supported,
    feature_options_are_supported,
    labels_are_set,
    task_labels_exist,
    features_are_defined,
    names_are_unique,
    boundaries_ascend,
    table_size_is_set,
    embedding_dim_is_set,
    pooling_is_known,
    shared_tables_agree,
    group_names_are_unique,
    features_exist,
    sequence_encoders_read_groups,
    inputs_exist,
    tower_names_are_unique,
    related_towers_exist,
]
