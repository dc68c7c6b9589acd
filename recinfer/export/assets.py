"""Files that a config names and an export must carry with it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from recinfer.errors import ConfigError
from recinfer.features.assets import asset_messages, asset_path


def gather_assets(config: Any, folder: Path) -> Any:
    """Copies vocabulary files into an export folder.

    Args:
        config: left as it is.
        folder: of the export.

    Returns:
        The config whose features name the copies, relative to the folder.

    Raises:
        ConfigError: two different files have one name.
    """
    out = type(config)()
    out.CopyFrom(config)
    copied: dict[str, Path] = {}
    for message in asset_messages(out):
        source = asset_path(message)
        if not source.is_file():
            continue
        if copied.setdefault(source.name, source.resolve()) != source.resolve():
            raise ConfigError(f"two vocabulary files are called {source.name!r}", "rename one of them")
        shutil.copyfile(source, folder / source.name)
        message.vocab_file = source.name
        message.ClearField("asset_dir")
    return out
