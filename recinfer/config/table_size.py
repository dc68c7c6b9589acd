"""How many rows a feature's embedding table has, as far as the config alone tells."""

from __future__ import annotations

from recinfer.config.view import FeatureEntry

# Kinds that always yield ids; the other kinds do once they are bucketized.
ALWAYS_SPARSE = {"id_feature", "combo_feature", "tokenize_feature", "bool_mask_feature"}
SIZE_FIELDS = (
    *("hash_bucket_size", "num_buckets", "vocab_list", "vocab_dict", "vocab_file"),
    *("boundaries", "zch", "dynamicemb"),
)
# A vocabulary keeps row 0 for the default value and row 1 for unknown words, unless default_bucketize_value is set.
_RESERVED_ROWS = 2


def is_sparse(entry: FeatureEntry) -> bool:
    """Whether the feature yields ids, which are looked up in a table, rather than numbers."""
    kind = entry.kind.removeprefix("sequence_")
    return kind in ALWAYS_SPARSE or bool(size_fields(entry)) or bool(entry.get("need_discrete", False))


def size_fields(entry: FeatureEntry) -> list[str]:
    """The fields set on the feature that give its table a size."""
    return [field for field in SIZE_FIELDS if entry.has(field)]


def table_rows(entry: FeatureEntry) -> int | str | None:
    """The rows of the feature's table; a file's name where the size is that of a file; None where no field says."""
    fields = size_fields(entry)
    if not fields:
        return None
    field, message = fields[0], entry.message
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
    return len(message.vocab_list) + (0 if entry.has("default_bucketize_value") else _RESERVED_ROWS)
