"""The rules of a config check: each a function from a view of the config to the problems that it sees."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from recinfer.config.problems import Problem
from recinfer.config.rules.collisions import shared_tables_have_one_zch, zero_collision_tables_are_set_up
from recinfer.config.rules.common_widths import dense_features_fit_in, paired_features_have_one_width
from recinfer.config.rules.defaults import defaults_are_readable
from recinfer.config.rules.embeddings import embedding_dim_is_set, pooling_is_known, table_size_is_set
from recinfer.config.rules.encoders import (
    din_towers_fit_their_sequences,
    encoder_options_are_known,
    encoders_fit_their_sequences,
)
from recinfer.config.rules.features import boundaries_ascend, features_are_defined, names_are_unique
from recinfer.config.rules.group_members import (
    dense_embeddings_take_one_number,
    plain_groups_hold_no_sequences,
    sequence_groups_hold_plain_numbers,
    wide_groups_hold_ids,
)
from recinfer.config.rules.groups import features_exist, group_names_are_unique, sequence_encoders_read_groups
from recinfer.config.rules.labels import labels_are_set, task_labels_exist
from recinfer.config.rules.model_groups import (
    groups_read_as_vectors_are_plain,
    needed_groups_exist,
    tower_models_have_towers,
)
from recinfer.config.rules.model_inputs import inputs_exist, related_towers_exist, tower_names_are_unique
from recinfer.config.rules.model_parts import (
    experts_are_there,
    extraction_networks_mix,
    interactions_have_layers,
    mask_blocks_have_widths,
    personalized_layers_are_there,
)
from recinfer.config.rules.perceptrons import activations_are_known, dropouts_fit_layers, layers_have_units
from recinfer.config.rules.presence import batch_size_is_positive, parts_are_present, required_fields_are_set
from recinfer.config.rules.ranks import masks_have_widths, subspaces_are_smaller
from recinfer.config.rules.sequence_groups import (
    deep_groups_hold_the_sequence_groups,
    sequence_groups_are_encoded,
    sequence_names_are_unique,
    several_sequence_groups_have_names,
)
from recinfer.config.rules.sharding import constraints_are_known
from recinfer.config.rules.shared_options import shared_tables_have_one_setting
from recinfer.config.rules.shared_tables import shared_tables_agree
from recinfer.config.rules.table_options import data_types_are_known, init_fns_are_known
from recinfer.config.rules.tasks import (
    labels_belong_to_tasks,
    least_loss_weights_leave_room,
    losses_fit_their_tasks,
    metrics_fit_their_tasks,
    metrics_have_names_of_their_own,
    tasks_are_there,
    tasks_have_classes,
    tasks_have_losses,
)
from recinfer.config.rules.unsupported import (
    data_source_is_supported,
    feature_generation_is_supported,
    feature_options_are_supported,
    model_is_supported,
    sampler_is_supported,
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
    zero_collision_tables_are_set_up,
    shared_tables_have_one_zch,
    defaults_are_readable,
    init_fns_are_known,
    data_types_are_known,
    constraints_are_known,
    shared_tables_have_one_setting,
    plain_groups_hold_no_sequences,
    wide_groups_hold_ids,
    sequence_groups_hold_plain_numbers,
    dense_embeddings_take_one_number,
    deep_groups_hold_the_sequence_groups,
    sequence_groups_are_encoded,
    several_sequence_groups_have_names,
    sequence_names_are_unique,
    encoders_fit_their_sequences,
    din_towers_fit_their_sequences,
    encoder_options_are_known,
    needed_groups_exist,
    groups_read_as_vectors_are_plain,
    tower_models_have_towers,
    paired_features_have_one_width,
    dense_features_fit_in,
    layers_have_units,
    dropouts_fit_layers,
    activations_are_known,
    experts_are_there,
    extraction_networks_mix,
    mask_blocks_have_widths,
    interactions_have_layers,
    personalized_layers_are_there,
    subspaces_are_smaller,
    masks_have_widths,
    tasks_are_there,
    tasks_have_classes,
    tasks_have_losses,
    losses_fit_their_tasks,
    metrics_fit_their_tasks,
    metrics_have_names_of_their_own,
    least_loss_weights_leave_room,
    labels_belong_to_tasks,
]
