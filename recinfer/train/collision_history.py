"""What zero-collision tables have seen since their policy last chose, so that a resumed run goes on as one that ran on.

It is kept beside the model: the model's own names are those of the reference, which starts with an empty history.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torch import nn

from recinfer.nn.id_slots import History, IdSlots
from recinfer.train.checkpoint_storage import read_all, write_tensors


def save_history(module: nn.Module, folder: Path) -> None:
    """Writes the histories of a training module's tables, if it has any."""
    state = {f"{name}.{part}": value for name, slots in _tables(module) for part, value in slots.history().items()}
    if state:
        write_tensors(folder, state)


def load_history(module: nn.Module, folder: Path) -> None:
    """Restores what :func:`save_history` wrote; without it, tables start with an empty history.

    Raises:
        ModelError: the folder is damaged.
    """
    tables = dict(_tables(module))
    if not tables or not folder.is_dir():
        return
    parts: dict[str, History] = {}
    for key, value in read_all(folder).items():
        name, _, part = key.rpartition(".")
        parts.setdefault(name, {})[part] = value
    for name, slots in tables.items():
        if name in parts:
            slots.set_history(parts[name])


def _tables(module: nn.Module) -> Iterator[tuple[str, IdSlots]]:
    for name, part in module.named_modules():
        if isinstance(part, IdSlots):
            # Under the name that one process has for it, which has no wrapper for averaging gradients.
            yield name.rpartition("_dmp_wrapped_module.")[2].removeprefix("module."), part
