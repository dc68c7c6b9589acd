"""``fg.json``: the features as the serving side reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict

from recinfer.features.base import Feature

# What only training needs.
LEFT_OUT = {"embedding_dim", "embedding_name", "pooling", "init_fn", "trainable", "data_type", "autodis", "mlp",
            "embedding_constraints", "fg_encoded_default_value", "use_mask"}  # fmt: skip


def feature_file(features: Sequence[Feature]) -> dict[str, Any]:
    """All features with their settings; members of a grouped sequence one by one, under their full names."""
    return {"features": [_entry(feature) for feature in features]}


def _entry(feature: Feature) -> dict[str, Any]:
    settings = MessageToDict(feature.config, preserving_proto_field_name=True)
    kept = {name: value for name, value in settings.items() if name not in LEFT_OUT}
    entry: dict[str, Any] = {"feature_type": _kind(feature), **kept, "feature_name": feature.name}
    if "default_value" in feature.config.DESCRIPTOR.fields_by_name:
        entry["default_value"] = feature.config.default_value
    entry["value_type"] = "int64" if feature.is_sparse else "float"
    if feature.sequence is not None:
        entry["sequence_length"] = feature.sequence.length
        entry["sequence_delim"] = feature.sequence.delimiter
        if feature.sequence.name:
            entry["sequence_name"] = feature.sequence.name
    return entry


def _kind(feature: Feature) -> str:
    name = type(feature).__name__.removesuffix("Feature")
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
    return snake if snake == "kv_dot_product" else f"{snake}_feature"
