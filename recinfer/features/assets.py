"""Files that features read, such as vocabularies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

ASSET_FIELD = "vocab_file"


def asset_path(message: Any) -> Path:
    """Where a feature message's vocabulary file lies."""
    return Path(message.asset_dir) / message.vocab_file if message.asset_dir else Path(message.vocab_file)


def asset_messages(config: Any) -> list[Any]:
    """The feature messages of a config that name a vocabulary file."""
    found = []
    for entry in config.feature_configs:
        kind = entry.WhichOneof("feature")
        message = getattr(entry, kind)
        members = (
            [getattr(m, m.WhichOneof("feature")) for m in message.features] if kind == "sequence_feature" else [message]
        )
        found += [m for m in members if ASSET_FIELD in m.DESCRIPTOR.fields_by_name and m.HasField(ASSET_FIELD)]
    return found


def with_assets_in(config: Any, folder: Path) -> Any:
    """The config with every vocabulary file that lies in a folder named there, whatever path the config had for it."""
    out = type(config)()
    out.CopyFrom(config)
    for message in asset_messages(out):
        held = folder / Path(message.vocab_file).name
        if held.is_file():
            message.vocab_file = str(held)
            message.ClearField("asset_dir")
    return out
