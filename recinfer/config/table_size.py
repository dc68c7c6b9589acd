"""How many rows a feature's embedding table has, as far as the config alone tells."""

from __future__ import annotations

from typing import Any

from recinfer.config.view import FeatureEntry

# Kinds that always yield ids; the other kinds do once they are bucketized.
ALWAYS_SPARSE = {"IdFeature", "ComboFeature", "TokenizeFeature", "BoolMaskFeature"}
SIZE_FIELDS = (
    *("hash_bucket_size", "num_buckets", "vocab_list", "vocab_dict", "vocab_file"),
    *("boundaries", "zch", "dynamicemb"),
)
# A vocabulary keeps row 0 for the default value and row 1 for unknown words, unless default_bucketize_value is set.
RESERVED_ROWS = 2
# The reference gives the table of a match feature with a word list one row more; its checkpoints have that shape.
MATCH_EXTRA_ROWS = 1


def is_sparse(entry: FeatureEntry) -> bool:
    """Whether the feature yields ids, which are looked up in a table, rather than numbers."""
    return message_is_sparse(entry.message)


def message_is_sparse(message: Any) -> bool:
    """:func:`is_sparse` of a feature message.

    ``need_discrete`` has no say: it is about generating a value. One that comes as a column is an id where it has a
    table to be looked up in.
    """
    return message.DESCRIPTOR.name in ALWAYS_SPARSE or bool(message_size_fields(message))


def size_fields(entry: FeatureEntry) -> list[str]:
    """The fields set on the feature that give its table a size."""
    return message_size_fields(entry.message)


def table_rows(entry: FeatureEntry) -> int | str | None:
    """The rows of the feature's table; a file's name where the size is that of a file; None where no field says."""
    return message_rows(entry.message)


def message_rows(message: Any) -> int | str | None:
    """:func:`table_rows` of a feature message."""
    fields = message_size_fields(message)
    if not fields:
        return None
    field = fields[0]
    if field in ("hash_bucket_size", "num_buckets"):
        return int(getattr(message, field))
    if field == "boundaries":
        return len(message.boundaries) + 1
    if field == "vocab_file":
        return f"file {message.vocab_file}"
    if field == "zch":
        return int(message.zch.zch_size)
    if field == "dynamicemb":
        return int(message.dynamicemb.max_capacity)
    if field == "vocab_dict":
        return max(message.vocab_dict.values()) + 1
    extra = MATCH_EXTRA_ROWS if message.DESCRIPTOR.name == "MatchFeature" else 0
    return len(message.vocab_list) + (0 if _is_set(message, "default_bucketize_value") else RESERVED_ROWS) + extra


def message_size_fields(message: Any) -> list[str]:
    """:func:`size_fields` of a feature message."""
    return [field for field in SIZE_FIELDS if _is_set(message, field)]


def _is_set(message: Any, field: str) -> bool:
    known = message.DESCRIPTOR.fields_by_name.get(field)
    if known is None:
        return False
    return bool(len(getattr(message, field))) if known.is_repeated else bool(message.HasField(field))
