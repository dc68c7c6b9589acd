"""Rows of embedding tables, from the shapes of a model's parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def table_rows(shapes: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """Rows of each embedding table, by its name.

    With them a vocabulary file that is not here is not needed for its size.
    """
    marks = (".embedding_bags.", ".embeddings.")
    return {
        name.split(".")[-2]: int(shape[0])
        for name, shape in shapes.items()
        if name.endswith(".weight") and any(mark in name for mark in marks)
    }


def checkpoint_table_rows(checkpoint: Path) -> dict[str, int]:
    """The same of a checkpoint, from its index alone.

    Raises:
        ModelError: there is no index, or it cannot be trusted.
    """
    from recinfer.train.checkpoint_storage import read_index

    index = read_index(checkpoint / "model").state_dict_metadata
    return table_rows({name: entry.size for name, entry in index.items() if hasattr(entry, "size")})
