"""Row-wise optimizer state of tables that were split by columns somewhere else, or are here.

Row-wise AdaGrad keeps one number a row: the mean over columns of squared gradients. Split by columns, each part keeps
its own, and torchrec stacks them: ``[parts * rows]``. Their mean, weighted by the parts' widths, is what one table
would have kept, exactly; the way back is not unique, and each part takes the row's mean.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.metadata import Metadata, TensorStorageMetadata

from recinfer.distributed.shards import live_shape, local_parts
from recinfer.errors import ModelError
from recinfer.train.checkpoint_storage import read_all, read_index


def load_column_state(folder: Path, index: Metadata, tables: dict[str, Any], parameters: dict[str, str]) -> set[str]:
    """Fills the entries of ``tables`` whose plan had other column parts than it has here.

    Args:
        folder: of the optimizer state, beside the model's.
        index: of that folder.
        tables: key -> tensor, plain or sharded, of the state that kernels keep.
        parameters: key -> name of the table's weight.

    Returns:
        The keys that are done.

    Raises:
        ModelError: the state is not of that table at all.
    """
    stored = index.state_dict_metadata
    others = [key for key, value in tables.items() if key in stored and _size(stored[key]) != live_shape(value)]
    if not others:
        return set()
    weights = read_index(folder.parent / "model").state_dict_metadata
    found = read_all(folder, others)
    for key in others:
        rows, widths = _layout(weights.get(parameters[key]))
        live = live_shape(tables[key])
        if (
            key not in found
            or found[key].shape != (len(widths) * rows,)
            or len(live) != 1
            or not rows
            or live[0] % rows
        ):
            raise ModelError(
                f"the optimizer state {key!r} in {folder} has shape {_size(stored[key])}, here it has {live}",
                "train into another model_dir, with this checkpoint as fine_tune_checkpoint",
            )
        shares = torch.tensor(widths, dtype=torch.float64) / sum(widths)
        row = (shares[:, None] * found[key].reshape(len(widths), rows)).sum(0)
        _fill(tables[key], row.repeat(live[0] // rows))
    return set(others)


def _layout(weight: Any) -> tuple[int, list[int]]:
    """Rows of a table, and the widths of its column parts in a checkpoint."""
    if not isinstance(weight, TensorStorageMetadata) or len(weight.size) != 2:
        return 0, []
    columns = {int(chunk.offsets[1]): int(chunk.sizes[1]) for chunk in weight.chunks if chunk.sizes.numel()}
    return int(weight.size[0]), [columns[start] for start in sorted(columns)]


def _fill(target: Any, whole: torch.Tensor) -> None:
    """Copies what this rank holds of a tensor."""
    with torch.no_grad():
        for (start,), part in local_parts(target):
            part.copy_(whole[start : start + len(part)])


def _size(stored: Any) -> tuple[int, ...]:
    return tuple(stored.size) if isinstance(stored, TensorStorageMetadata) else ()
