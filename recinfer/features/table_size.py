"""How many rows a feature's embedding table has, as the config says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recinfer.config.table_size import message_rows
from recinfer.errors import ConfigError
from recinfer.features.assets import asset_path


def table_size(config: Any, name: str, *, must: bool) -> int | None:
    """Rows of the embedding table of a feature message.

    Args:
        must: raise where the size cannot be told, instead of returning None.

    Raises:
        ConfigError: no bucketizer is set, or a vocabulary file cannot be read.
    """
    if "dynamicemb" in config.DESCRIPTOR.fields_by_name and config.HasField("dynamicemb"):
        raise ConfigError(f"`dynamicemb` is not supported: feature {name!r}", "remove `dynamicemb` from the feature")
    rows = message_rows(config)
    if isinstance(rows, str):
        return _vocabulary_file(config, name, must=must)
    if rows is not None:
        return rows
    if must:
        raise ConfigError(
            f"feature {name!r} does not say how large its embedding table is",
            "set one of hash_bucket_size, num_buckets, vocab_list, vocab_dict, vocab_file, boundaries, zch",
        )
    return None


def _vocabulary_file(config: Any, name: str, *, must: bool) -> int | None:
    path = asset_path(config)
    if not path.is_file():
        if not must:
            return None
        raise ConfigError(
            f"feature {name!r}: vocab_file {str(path)!r} does not exist", "give the path of the vocabulary"
        )
    if config.DESCRIPTOR.name == "TokenizeFeature":
        return _tokenizer_size(path, name)
    highest = -1
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        parts = line.split()
        highest = max(highest, int(parts[1]) if len(parts) == 2 and parts[1].isdecimal() else number)
    return highest + 1


def _tokenizer_size(path: Path, name: str) -> int:
    try:
        model = json.loads(path.read_text(encoding="utf-8"))
        ids = [*model["model"]["vocab"].values(), *(token["id"] for token in model.get("added_tokens", []))]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"feature {name!r}: {str(path)!r} is no tokenizer.json of a word-piece or BPE model: {error}",
            "sentencepiece models are not supported here; convert to tokenizer.json",
        ) from error
    return max(ids) + 1
