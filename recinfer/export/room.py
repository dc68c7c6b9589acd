"""Whether a disk has room for a model, asked before it is written.

torch's writer of archives ends the whole process where the disk is full, out of a destructor in C++: no error can be
caught then.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from torch import nn

from recinfer.errors import OutputError

# What code, machine code and the archive around the tensors take at most.
BESIDES = 16 << 20


def check_room(folder: Path, model: nn.Module) -> None:
    """Looks at the free space of a folder's disk.

    Args:
        model: its parameters and buffers are what will be written.

    Raises:
        OutputError: there is too little.
    """
    tensors = {id(each): each for each in (*model.parameters(), *model.buffers())}
    needed = BESIDES + sum(each.numel() * each.element_size() for each in tensors.values())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OutputError(
            f"{folder.parent} has {free / 2**20:,.0f} MiB free, and the export needs up to {needed / 2**20:,.0f}",
            "make room, or choose another --export_dir",
        )
