"""How wide features and groups are, as far as the config alone tells; None where something that is missing decides."""

from __future__ import annotations

from typing import Any

from recinfer.config.table_size import is_sparse
from recinfer.config.view import ConfigView, FeatureEntry
from recinfer.protos.model_pb2 import FeatureGroupConfig, FeatureGroupType, SeqGroupConfig

PLAIN = (FeatureGroupType.DEEP, FeatureGroupType.WIDE)
Widths = list[tuple[str, int]]


def is_plain(group: FeatureGroupConfig) -> bool:
    """Whether the group is a deep or wide one: one vector per row."""
    return group.group_type in PLAIN


def has_dense_embedding(entry: FeatureEntry) -> bool:
    """Whether a feature of numbers has an embedding of its own (``autodis`` or ``mlp``)."""
    return not is_sparse(entry) and (entry.has("autodis") or entry.has("mlp"))


def value_width(entry: FeatureEntry) -> int:
    """Numbers per row or step of a feature that is not embedded."""
    field = entry.message.DESCRIPTOR.fields_by_name.get("value_dim")
    if field is None or not (entry.message.HasField("value_dim") or field.has_default_value):
        return 1
    return max(int(entry.message.value_dim), 1)


def feature_width(entry: FeatureEntry) -> int | None:
    """Width of what a deep group makes of a feature."""
    if is_sparse(entry) or has_dense_embedding(entry):
        return int(entry.get("embedding_dim", 0)) or None
    return value_width(entry)


def group_widths(view: ConfigView, group: FeatureGroupConfig) -> Widths | None:
    """The pieces of a deep or wide group in order, each with its width: features, then encoded sequences."""
    if len(view.members(group)) < len(group.feature_names):
        return None
    wide = getattr(view.model, "wide_embedding_dim", 4) if group.group_type == FeatureGroupType.WIDE else None
    found = [(f"`{entry.name}`", wide or feature_width(entry)) for entry in view.members(group)]
    found += [_encoded(view, group, encoder) for encoder in group.sequence_encoders]
    widths = [(name, width) for name, width in found if width is not None]
    return widths if len(widths) == len(found) else None


def total_width(view: ConfigView, group: FeatureGroupConfig) -> int | None:
    """Width of a deep or wide group."""
    widths = group_widths(view, group)
    return None if widths is None else sum(width for _, width in widths)


def sequence_widths(view: ConfigView, group: FeatureGroupConfig | SeqGroupConfig) -> tuple[int, int] | None:
    """Widths of a sequence group's query (its plain features) and of its steps, 0 where it has none."""
    query = steps = 0
    members = view.members(group)
    if len(members) < len(group.feature_names):
        return None
    for entry in members:
        width = feature_width(entry)
        if width is None:
            return None
        query, steps = (query, steps + width) if entry.is_sequence else (query + width, steps)
    return query, steps


def encoder_group(group: FeatureGroupConfig, encoder: Any) -> SeqGroupConfig | None:
    """The sequence group that an encoder of a feature group reads; a single one need not be named."""
    kind = encoder.WhichOneof("seq_module")
    wanted = getattr(encoder, kind).input if kind else ""
    nested = list(group.sequence_groups)
    if not wanted and len(nested) == 1:
        return nested[0]
    return next((each for each in nested if wanted == (each.group_name or group.group_name)), None)


def _encoded(view: ConfigView, group: FeatureGroupConfig, encoder: Any) -> tuple[str, int | None]:
    kind = encoder.WhichOneof("seq_module") or ""
    nested = encoder_group(group, encoder)
    widths = None if nested is None or not kind else sequence_widths(view, nested)
    name = f"{kind} of `{getattr(nested, 'group_name', '') or group.group_name}`"
    if widths is None:
        return name, None
    message = getattr(encoder, kind)
    if kind == "self_attention_encoder":
        return name, int(message.multihead_attn_dim)
    if kind == "multi_window_din_encoder":
        return name, widths[1] * (len(message.windows_len) + 1)
    return name, widths[1]
