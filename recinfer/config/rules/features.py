"""Features: defined, named once, with buckets in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from recinfer.config.problems import Problem
from recinfer.config.view import ConfigView


def features_are_defined(view: ConfigView) -> Iterator[Problem]:
    """Every ``feature_configs`` block holds a feature, and every ``sequence_feature`` holds some."""
    for index, feature in enumerate(view.config.feature_configs):
        path = f"feature_configs[{index}]"
        kind = feature.WhichOneof("feature")
        if kind is None:
            yield Problem(path, "no feature is set", "add the block of a feature, for example id_feature { ... }")
        elif kind == "sequence_feature":
            sequence = feature.sequence_feature
            if not sequence.features:
                yield Problem(f"{path}.sequence_feature", f"sequence `{sequence.sequence_name}` has no `features`")
            for inner, member in enumerate(sequence.features):
                if member.WhichOneof("feature") is None:
                    yield Problem(f"{path}.sequence_feature.features[{inner}]", "no feature is set")


def names_are_unique(view: ConfigView) -> Iterator[Problem]:
    """No two features share a name."""
    paths = defaultdict(list)
    for entry in view.features:
        if entry.name:
            paths[entry.name].append(entry.path)
    for name, places in paths.items():
        if len(places) > 1:
            hint = "rename or remove all but one"
            yield Problem(", ".join(places), f"feature `{name}` is defined {len(places)} times", hint)


def boundaries_ascend(view: ConfigView) -> Iterator[Problem]:
    """Boundaries of buckets are in ascending order, each once."""
    for entry in view.features:
        boundaries = list(entry.get("boundaries", []))
        if any(low >= high for low, high in pairwise(boundaries)):
            yield Problem(entry.where, "`boundaries` do not ascend", "sort them and remove repeated ones")
