"""A config as the rules of a check see it: its features under their full names, its groups, its model."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from google.protobuf.message import Message

from recinfer.protos.data_pb2 import FgMode
from recinfer.protos.model_pb2 import FeatureGroupConfig, SeqGroupConfig
from recinfer.protos.pipeline_pb2 import EasyRecConfig


@dataclass(frozen=True)
class FeatureEntry:
    """One feature that a config defines; members of a ``sequence_feature`` count one by one.

    Attributes:
        name: the full name: ``<sequence_name>__<feature_name>`` inside a ``sequence_feature``; "" where it is missing.
        kind: the member of the oneof, for example ``id_feature``.
        message: the message of that kind, for example an ``IdFeature``.
        path: where it stands, for example ``feature_configs[3].id_feature``.
    """

    name: str
    kind: str
    message: Any
    path: str

    @property
    def where(self) -> str:
        """The feature as errors call it."""
        return f"feature `{self.name}`" if self.name else self.path

    @property
    def is_sequence(self) -> bool:
        """Whether a row holds a list of steps."""
        inside = ".sequence_feature." in self.path
        return inside or self.kind.startswith("sequence_") or bool(self.get("tokens_as_sequence", False))

    def has(self, field: str) -> bool:
        """Whether the kind has this field and the config sets it to something."""
        descriptor = self.message.DESCRIPTOR.fields_by_name.get(field)
        if descriptor is None:
            return False
        if descriptor.is_repeated:
            return len(getattr(self.message, field)) > 0
        return self.message.HasField(field)

    def get(self, field: str, default: Any = None) -> Any:
        """The value of a field, or ``default`` where the kind has no such field."""
        return getattr(self.message, field, default)


@dataclass(frozen=True)
class ConfigView:
    """What rules read.

    Attributes:
        config: the config.
        supported_models: names of models that can be built, as members of the oneof ``model`` (``deepfm``) or as
            messages (``DeepFM``); None where any may stand.
    """

    config: EasyRecConfig
    supported_models: Collection[str] | None = None

    @cached_property
    def features(self) -> list[FeatureEntry]:
        """All features, in the order of the config."""
        return list(_features(self.config))

    @cached_property
    def by_name(self) -> dict[str, FeatureEntry]:
        """Features by their full names."""
        return {entry.name: entry for entry in self.features if entry.name}

    @cached_property
    def model_kind(self) -> str | None:
        """The member of the oneof ``model`` that is set, or None."""
        return self.config.model_config.WhichOneof("model")

    @property
    def model(self) -> Message | None:
        """The model's own message, or None."""
        return getattr(self.config.model_config, self.model_kind) if self.model_kind else None

    @property
    def generates_features(self) -> bool:
        """Whether features are generated from raw fields, rather than read as columns."""
        data = self.config.data_config
        if not data.HasField("fg_mode"):
            return data.HasField("fg_encoded") and not data.fg_encoded
        return data.fg_mode != FgMode.FG_NONE

    def groups(self) -> Iterator[tuple[str, FeatureGroupConfig | SeqGroupConfig]]:
        """Every feature group and the sequence groups inside it, each with its path."""
        for index, group in enumerate(self.config.model_config.feature_groups):
            path = f"model_config.feature_groups[{index}]"
            yield path, group
            for inner, sequence in enumerate(group.sequence_groups):
                yield f"{path}.sequence_groups[{inner}]", sequence

    def members(self, group: FeatureGroupConfig | SeqGroupConfig) -> list[FeatureEntry]:
        """The features of a group, in its order; names that are not defined are left out."""
        return [self.by_name[name] for name in group.feature_names if name in self.by_name]

    def group(self, name: str) -> tuple[str, FeatureGroupConfig] | None:
        """A feature group by name, with its path."""
        for index, group in enumerate(self.config.model_config.feature_groups):
            if group.group_name == name:
                return f"model_config.feature_groups[{index}]", group
        return None

    def towers(self) -> list[tuple[str, Any]]:
        """The task towers of a multi-task model, each with its path."""
        towers = getattr(self.model, "task_towers", [])
        return [(f"model_config.{self.model_kind}.task_towers[{index}]", tower) for index, tower in enumerate(towers)]


def _features(config: EasyRecConfig) -> Iterator[FeatureEntry]:
    for index, feature in enumerate(config.feature_configs):
        path = f"feature_configs[{index}]"
        kind = feature.WhichOneof("feature")
        if kind == "sequence_feature":
            sequence = feature.sequence_feature
            for inner, member in enumerate(sequence.features):
                inner_path = f"{path}.sequence_feature.features[{inner}]"
                yield from _entry(member, inner_path, f"{sequence.sequence_name}__")
        elif kind is not None:
            yield from _entry(feature, path, "")


def _entry(feature: Any, path: str, prefix: str) -> Iterator[FeatureEntry]:
    kind = feature.WhichOneof("feature")
    if kind is not None:
        message = getattr(feature, kind)
        name = prefix + message.feature_name if message.feature_name else ""
        yield FeatureEntry(name, kind, message, f"{path}.{kind}")
