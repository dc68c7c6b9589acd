"""Features that share an embedding table agree on how it is kept and read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from recinfer.config.problems import Problem
from recinfer.config.table_size import is_sparse
from recinfer.config.view import ConfigView, FeatureEntry
from recinfer.config.widths import PLAIN
from recinfer.protos.model_pb2 import FeatureGroupConfig, FeatureGroupType, SeqGroupConfig

OPTIONS = ("pooling", "data_type", "trainable")


def shared_tables_have_one_setting(view: ConfigView) -> Iterator[Problem]:
    """Features that look into one table agree on ``pooling``, ``data_type`` and ``trainable``."""
    tables: dict[tuple[str, str], dict[tuple[str, str], FeatureEntry]] = defaultdict(dict)
    for group, suffix in _groups_with_suffix(view):
        kind = group.group_type if isinstance(group, FeatureGroupConfig) else FeatureGroupType.SEQUENCE
        plain, wide = kind in PLAIN, kind == FeatureGroupType.WIDE
        for entry in view.members(group):
            if is_sparse(entry):
                name = entry.get("embedding_name") or f"{entry.name}_emb"
                name += ("_wide" if wide else "") + (f"_{suffix}" if suffix else "")
                # Tables of sequences are apart from pooled ones, and by width from each other.
                place = "pooled" if plain else f"sequence {entry.get('embedding_dim', 0)}"
                tables[place, name][entry.name, "wide" if wide else "deep"] = entry
    said = set()
    for (place, name), entries in tables.items():
        if place == "pooled" and len({kind for _, kind in entries}) > 1:
            what = "a WIDE group and a DEEP group would share a table, by the suffix of their embedding_name"
            yield Problem(f"embedding_name `{name}`", what, "choose another embedding_name_suffix")
            continue
        for option in OPTIONS:
            by_value: dict[str, list[str]] = defaultdict(list)
            for entry in {each.name: each for each in entries.values()}.values():
                by_value[_text(entry, option)].append(f"`{entry.name}`")
            parts = "; ".join(f"{value}: {', '.join(names)}" for value, names in by_value.items())
            if len(by_value) > 1 and (name, parts) not in said:
                said.add((name, parts))
                hint = "make them equal, or give the features different embedding_name"
                what = f"features that share a table have different {option} ({parts})"
                yield Problem(f"embedding_name `{name}`", what, hint)


def _text(entry: FeatureEntry, option: str) -> str:
    value = entry.get(option)
    return str(value).lower() if option != "data_type" else str(value)


def _groups_with_suffix(view: ConfigView) -> Iterator[tuple[FeatureGroupConfig | SeqGroupConfig, str]]:
    for group in view.config.model_config.feature_groups:
        yield group, group.embedding_name_suffix
        for sequence in group.sequence_groups:
            yield sequence, sequence.embedding_name_suffix or group.embedding_name_suffix
