"""Embedding tables: rows, columns and pooling of each sparse feature."""

from __future__ import annotations

from collections.abc import Iterator

from recinfer.config.nearest import name_hint
from recinfer.config.problems import Problem
from recinfer.config.table_size import is_sparse, size_fields
from recinfer.config.view import ConfigView
from recinfer.protos.model_pb2 import FeatureGroupType

POOLINGS = ("sum", "mean")


def table_size_is_set(view: ConfigView) -> Iterator[Problem]:
    """A sparse feature says, in one way, how many rows its table has."""
    for entry in view.features:
        if entry.get("stub_type", False) or not is_sparse(entry):
            continue
        fields = size_fields(entry)
        if not fields:
            hint = "set one of hash_bucket_size, num_buckets, vocab_list, vocab_dict, vocab_file"
            yield Problem(entry.where, "the embedding table has no size", hint)
        elif len(fields) > 1:
            hint = f"keep one of {', '.join(fields)}"
            yield Problem(entry.where, f"the embedding table has {len(fields)} sizes", hint)
        elif fields[0] in ("hash_bucket_size", "num_buckets") and entry.get(fields[0]) == 0:
            yield Problem(entry.where, f"`{fields[0]}` is 0", "a table has at least one row")


def embedding_dim_is_set(view: ConfigView) -> Iterator[Problem]:
    """A sparse feature, or a dense one with an embedding of its own, says how long its vectors are."""
    wide_only = _wide_only(view)
    for entry in view.features:
        embedded = is_sparse(entry) or entry.has("mlp") or entry.has("autodis")
        if not embedded or entry.get("stub_type", False) or entry.name in wide_only:
            continue
        if not entry.get("embedding_dim", 0):
            yield Problem(entry.where, "`embedding_dim` is not set", "set it to the length of the feature's vectors")


def pooling_is_known(view: ConfigView) -> Iterator[Problem]:
    """Several values of a feature are summed or averaged."""
    for entry in view.features:
        if entry.has("pooling") and entry.message.pooling.lower() not in POOLINGS:
            yield Problem(
                entry.where,
                f"pooling `{entry.message.pooling}` is unknown",
                name_hint(entry.message.pooling, POOLINGS, "poolings"),
            )


def _wide_only(view: ConfigView) -> set[str]:
    """Features that only wide groups read: their vectors are as long as the model's ``wide_embedding_dim``."""
    wide: set[str] = set()
    other: set[str] = set()
    for group in view.config.model_config.feature_groups:
        target = wide if group.group_type == FeatureGroupType.WIDE else other
        target.update(group.feature_names)
        for sequence in group.sequence_groups:
            other.update(sequence.feature_names)
    return wide - other
