"""Sequence groups inside deep groups: named apart, and each read by an encoder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from recinfer.config.problems import Problem
from recinfer.config.view import ConfigView
from recinfer.config.widths import encoder_group, is_plain
from recinfer.protos.model_pb2 import FeatureGroupConfig, FeatureGroupType


def deep_groups_hold_the_sequence_groups(view: ConfigView) -> Iterator[Problem]:
    """Only a deep group has sequence groups and encoders."""
    for where, group in _groups(view):
        if (group.sequence_groups or group.sequence_encoders) and group.group_type != FeatureGroupType.DEEP:
            kind = FeatureGroupType.Name(group.group_type)
            what = f"a {kind} group holds no sequence_groups and sequence_encoders"
            yield Problem(where, what, "make it group_type: DEEP")


def sequence_groups_are_encoded(view: ConfigView) -> Iterator[Problem]:
    """Every sequence group of a deep group is read by an encoder, and encoders have something to read."""
    for where, group in _groups(view):
        if group.sequence_encoders and not group.sequence_groups:
            hint = "add a block sequence_groups with the features of the sequence"
            yield Problem(where, "sequence_encoders without sequence_groups have nothing to read", hint)
        read = [encoder_group(group, encoder) for encoder in group.sequence_encoders]
        if None in read:
            continue  # Which one is meant, another rule asks.
        for sequence in group.sequence_groups:
            if sequence not in read:
                what = f"no encoder reads sequence group `{sequence.group_name or group.group_name}`"
                yield Problem(where, what, "add sequence_encoders for it, for example din_encoder { ... }")


def several_sequence_groups_have_names(view: ConfigView) -> Iterator[Problem]:
    """Of several sequence groups each has a name, for encoders to say which one they read."""
    for where, group in _groups(view):
        unnamed = [each for each in group.sequence_groups if not each.group_name]
        if unnamed and len(group.sequence_groups) > 1:
            what = f"{len(unnamed)} of {len(group.sequence_groups)} sequence groups have no group_name"
            yield Problem(where, what, "name each of several sequence groups")


def sequence_names_are_unique(view: ConfigView) -> Iterator[Problem]:
    """No two sequences of the model share a name, in whatever feature groups they are."""
    places: dict[str, list[str]] = defaultdict(list)
    for where, group in _groups(view):
        if not is_plain(group):
            places[group.group_name].append(where)
        for name in {each.group_name or group.group_name for each in group.sequence_groups}:
            places[name].append(where)
    for name, found in places.items():
        if name and len(set(found)) > 1:
            what = f"{len(found)} feature groups have a sequence group `{name}`"
            yield Problem("; ".join(found), what, "give each a group_name of its own")


def _groups(view: ConfigView) -> Iterator[tuple[str, FeatureGroupConfig]]:
    for path, group in view.groups():
        if isinstance(group, FeatureGroupConfig):
            yield f"{path}, group `{group.group_name}`", group
