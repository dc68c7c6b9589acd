"""The first weights of a part of an embedding table: the same on any number of ranks, however it is split."""

from __future__ import annotations

import hashlib
import math

import torch

from recinfer.nn.model_tables import PlacedTable

# Rows that are drawn together; a part of a table needs the blocks that it touches, not the whole.
BLOCK_ROWS = 1 << 16
# These look at the shape of what they fill, so a block would get other numbers than its table.
BY_SHAPE = ("xavier_", "kaiming_", "orthogonal_", "eye_", "dirac_", "sparse_")


def initial_rows(placed: PlacedTable, seed: int, first: int, last: int) -> torch.Tensor:
    """Rows ``first`` up to ``last`` of a new table, float32 [last - first, dim].

    They follow from the seed, the table's name and the row alone. Without an initialiser they are uniform between
    plus and minus ``sqrt(1 / rows)``, as torchrec's are.

    Args:
        placed: the table.
        seed: of the run.
        first, last: a range of rows.
    """
    rows = placed.table.rows if _needs_whole(placed) else BLOCK_ROWS
    blocks = range(first // rows, -(-last // rows))
    made = [_block(placed, seed, block, min(rows, placed.table.rows - block * rows)) for block in blocks]
    start = blocks.start * rows
    return torch.cat(made)[first - start : last - start] if made else torch.empty(0, placed.table.dim)


def fresh_rows(placed: PlacedTable, count: int) -> torch.Tensor:
    """New rows, float32 [count, dim], drawn from torch's global generator."""
    values = torch.empty(count, placed.table.dim)
    if placed.table.init_fn is not None:
        placed.table.init_fn(values)
    else:
        bound = math.sqrt(1 / placed.table.rows)
        values.uniform_(-bound, bound)
    return values


def _block(placed: PlacedTable, seed: int, block: int, rows: int) -> torch.Tensor:
    text = f"{seed}/{'sequence' if placed.is_sequence else 'pooled'}/{placed.table.name}/{block}"
    # Initialisers of torch draw from the global generator, whose state is not theirs to change.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big"))
        return fresh_rows(placed, rows)


def _needs_whole(placed: PlacedTable) -> bool:
    function = getattr(placed.table.init_fn, "func", None)
    return getattr(function, "__name__", "").startswith(BY_SHAPE)
