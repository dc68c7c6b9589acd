"""Which features a model reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recinfer.features.base import Feature


def used_features(config: Any, features: Sequence[Feature]) -> list[Feature]:
    """The features that some feature group of ``model_config`` names, in the config's order; all without groups."""
    names: set[str] = set()
    for group in config.model_config.feature_groups:
        names.update(group.feature_names)
        for sequence in group.sequence_groups:
            names.update(sequence.feature_names)
    return [feature for feature in features if feature.name in names] if names else list(features)
