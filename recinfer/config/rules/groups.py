"""Feature groups: named once, made of features that exist, read by encoders that name them rightly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from recinfer.config.nearest import name_hint
from recinfer.config.problems import Problem
from recinfer.config.view import ConfigView
from recinfer.protos.model_pb2 import FeatureGroupConfig


def group_names_are_unique(view: ConfigView) -> Iterator[Problem]:
    """No two feature groups share a name, nor two sequence groups of one feature group."""
    groups = view.config.model_config.feature_groups
    yield from _repeated([group.group_name for group in groups], "model_config.feature_groups")
    for index, group in enumerate(groups):
        yield from _repeated(_sequence_names(group), f"model_config.feature_groups[{index}].sequence_groups")


def features_exist(view: ConfigView) -> Iterator[Problem]:
    """Groups hold features, all of them defined, none of them a mere intermediate."""
    stubs = {entry.name: bool(entry.get("stub_type", False)) for entry in view.features if entry.name}
    for path, group in view.groups():
        if not group.feature_names and not getattr(group, "sequence_groups", []):
            yield Problem(path, f"group `{group.group_name}` has no features", "add feature_names")
        for name in group.feature_names:
            where = f"{path}, group `{group.group_name}`"
            if name not in stubs:
                yield Problem(where, f"feature `{name}` is not defined", name_hint(name, stubs, "features"))
            elif stubs[name]:
                hint = "unset stub_type, or leave it out of the group"
                yield Problem(where, f"feature `{name}` is only an intermediate (stub_type)", hint)


def sequence_encoders_read_groups(view: ConfigView) -> Iterator[Problem]:
    """The input of a sequence encoder is a sequence group of the same feature group."""
    for index, group in enumerate(view.config.model_config.feature_groups):
        known = _sequence_names(group)
        for inner, encoder in enumerate(group.sequence_encoders):
            path = f"model_config.feature_groups[{index}].sequence_encoders[{inner}]"
            kind = encoder.WhichOneof("seq_module")
            if kind is None:
                yield Problem(path, "no encoder is set", "add the block of an encoder, for example din_encoder { ... }")
                continue
            name = getattr(encoder, kind).input
            if not name and len(known) > 1:
                hint = f"name one of {', '.join(known)}"
                yield Problem(f"{path}.{kind}", "`input` is missing, and there are several sequence groups", hint)
            if name and name not in known:
                hint = name_hint(name, known, "sequence groups") or "add a block sequence_groups with that name"
                yield Problem(f"{path}.{kind}.input", f"sequence group `{name}` is not defined", hint)


def _sequence_names(group: FeatureGroupConfig) -> list[str]:
    # A sequence group without a name goes by that of its feature group.
    return [sequence.group_name or group.group_name for sequence in group.sequence_groups]


def _repeated(names: list[str], where: str) -> Iterator[Problem]:
    for name, count in Counter(names).items():
        if name and count > 1:
            yield Problem(where, f"group name `{name}` is used {count} times", "give each group a name of its own")
