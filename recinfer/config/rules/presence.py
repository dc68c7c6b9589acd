"""Parts and fields that a config must have."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from recinfer.config.field_types import STRING
from recinfer.config.problems import Problem
from recinfer.config.view import ConfigView
from recinfer.config.walk import walk

# Commands name inputs and the model folder themselves.
_GIVEN_ELSEWHERE = {"train_input_path", "eval_input_path", "model_dir"}
# The embedding rules say more about a missing dimension: a feature that only a wide group reads needs none.
_CHECKED_ELSEWHERE = {"embedding_dim"}
# What a feature is generated from; under FG_NONE its column is named after the feature.
_SOURCES = {
    *("expression", "query", "title", "method", "document", "map", "key", "nested_map", "pkey", "skey"),
    *("operator_name", "operator_lib_file", "vocab_file", "sequence_delim"),
}


def parts_are_present(view: ConfigView) -> Iterator[Problem]:
    """The data, the model and at least one feature are there."""
    if not view.config.HasField("data_config"):
        yield Problem("pipeline config", "`data_config` is missing", "it says how the input is read")
    if not view.config.HasField("model_config"):
        yield Problem("pipeline config", "`model_config` is missing", "it says which model to build")
    elif view.model_kind is None:
        yield Problem("model_config", "no model is set", "add the block of a model, for example deepfm { ... }")
    elif not view.config.model_config.feature_groups:
        yield Problem("model_config", "`feature_groups` is empty", "name the features that the model reads")
    if not view.config.feature_configs:
        yield Problem("pipeline config", "`feature_configs` is missing", "define the features that the model reads")


def required_fields_are_set(view: ConfigView) -> Iterator[Problem]:
    """Fields without which a block means nothing are set; a default of the field's own counts."""
    # Not FindInitializationErrors: protobuf 7.36 can crash in it where a message holds a map.
    for path, message in walk(view.config):
        for field in message.DESCRIPTOR.fields:
            if not field.is_required or field.has_default_value or _is_set(message, field):
                continue
            if not _is_optional_here(view, path, field.name):
                yield Problem(path or "pipeline config", f"`{field.name}` is missing")


def batch_size_is_positive(view: ConfigView) -> Iterator[Problem]:
    """Batches hold at least one row."""
    data = view.config.data_config
    for field in ("batch_size", "eval_batch_size"):
        if data.HasField(field) and getattr(data, field) == 0:
            yield Problem("data_config", f"`{field}` is 0", "set it to at least 1")


def _is_set(message: Message, field: FieldDescriptor) -> bool:
    """Whether a field holds something: a name that is "" is none."""
    return message.HasField(field.name) and (field.cpp_type != STRING or bool(getattr(message, field.name)))


def _is_optional_here(view: ConfigView, path: str, field: str) -> bool:
    if field == "input" and ".sequence_encoders[" in path:
        # Whether an encoder needs to say what it reads, the rules of sequence groups know.
        return True
    if field == "low_rank_dim":
        # Without towers that intervene it means nothing; with them, 0 is refused.
        return True
    if not path.startswith("feature_configs["):
        return not path and field in _GIVEN_ELSEWHERE
    return field in _CHECKED_ELSEWHERE or (field in _SOURCES and not view.generates_features)
