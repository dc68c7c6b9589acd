"""Which parameter of a checkpoint starts which of the model, where their names differ."""

from __future__ import annotations

from pathlib import Path

from recinfer.errors import ConfigError


def read_name_map(path: str | Path) -> dict[str, str]:
    """Name in the model -> name in the checkpoint, from a file of one pair a line, separated by blanks.

    Raises:
        ConfigError: the file cannot be read, or a line is no pair or maps a name again.
    """
    names: dict[str, str] = {}
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"train_config.fine_tune_ckpt_param_map {str(path)!r} cannot be read: {error}") from error
    for number, line in enumerate(lines, 1):
        pair = line.split()
        if pair and (len(pair) != 2 or pair[0] in names):
            what = "is no pair of names" if len(pair) != 2 else f"maps {pair[0]!r} again"
            hint = "write <name in the model> <name in the checkpoint>, once for each name of the model"
            raise ConfigError(f"line {number} of {path} {what}", hint)
        if pair:
            names[pair[0]] = pair[1]
    return names
