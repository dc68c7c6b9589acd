"""Groups hold features of their kind: sequences in sequence groups, ids in wide ones."""

from __future__ import annotations

from collections.abc import Iterator

from recinfer.config.problems import Problem
from recinfer.config.table_size import is_sparse
from recinfer.config.view import ConfigView
from recinfer.config.widths import has_dense_embedding, is_plain, value_width
from recinfer.protos.model_pb2 import FeatureGroupConfig, FeatureGroupType


def plain_groups_hold_no_sequences(view: ConfigView) -> Iterator[Problem]:
    """A deep or wide group has one vector per row, which a sequence does not have before it is encoded."""
    for path, group in _feature_groups(view):
        for entry in view.members(group):
            if is_plain(group) and entry.is_sequence:
                hint = "put it into a SEQUENCE group, or into sequence_groups with an encoder"
                what = f"{_kind(group)} groups hold no sequence features, and {entry.where} is one"
                yield Problem(f"{path}, group `{group.group_name}`", what, hint)


def wide_groups_hold_ids(view: ConfigView) -> Iterator[Problem]:
    """A wide group looks every feature up in a table of its own."""
    for path, group in _feature_groups(view):
        for entry in view.members(group):
            if group.group_type == FeatureGroupType.WIDE and not is_sparse(entry) and not entry.is_sequence:
                hint = "give it boundaries, or put it into a deep group"
                what = f"WIDE groups hold ids, and {entry.where} is dense"
                yield Problem(f"{path}, group `{group.group_name}`", what, hint)


def sequence_groups_hold_plain_numbers(view: ConfigView) -> Iterator[Problem]:
    """Dense features of sequence groups are taken as they are: ``autodis`` and ``mlp`` are for deep groups."""
    for path, group in view.groups():
        if isinstance(group, FeatureGroupConfig) and is_plain(group):
            continue
        for entry in view.members(group):
            if has_dense_embedding(entry):
                hint = "give it boundaries, or name it in deep groups only"
                what = f"sequence groups take dense features as they are, and {entry.where} has an embedding of its own"
                yield Problem(f"{path}, group `{group.group_name}`", what, hint)


def dense_embeddings_take_one_number(view: ConfigView) -> Iterator[Problem]:
    """``autodis`` and ``mlp`` make an embedding of one number, and ``autodis`` needs channels and a temperature."""
    for entry in view.features:
        if not has_dense_embedding(entry) or entry.get("stub_type", False):
            continue
        if value_width(entry) > 1:
            what = f"`autodis` and `mlp` embed one number, and `value_dim` is {value_width(entry)}"
            yield Problem(entry.where, what, "split it into features of one number each")
        if entry.has("autodis"):
            for field in ("num_channels", "temperature"):
                if entry.message.autodis.HasField(field) and getattr(entry.message.autodis, field) <= 0:
                    yield Problem(entry.where, f"`autodis.{field}` is not above 0", "set it above 0")


def _feature_groups(view: ConfigView) -> Iterator[tuple[str, FeatureGroupConfig]]:
    for path, group in view.groups():
        if isinstance(group, FeatureGroupConfig):
            yield path, group


def _kind(group: FeatureGroupConfig) -> str:
    return FeatureGroupType.Name(group.group_type)
