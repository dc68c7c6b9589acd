"""User-side inputs once per user, repeated for the user's rows inside the model.

A batch has U users and B rows; each user's rows stand together. ``batch_size`` says how many rows each user has.
Like those of ``nn/jagged.py``, these functions stay whole when a model is traced: call them as ``tiling.name(...)``.
"""

from collections.abc import Collection, Mapping
from typing import Optional

import torch

from recinfer.nn import jagged

BATCH_SIZE = "batch_size"
# Entries of a batch that only lookups once per user read: rows per user, user of each row, and untiled inputs.
COUNTS = "batch_size@counts"
USERS = "batch_size@users"
ONCE = "@once"


@torch.fx.wrap
def counts_of(batch_size: torch.Tensor, item_side: Optional[torch.Tensor]) -> torch.Tensor:  # noqa: UP045
    """Rows of each user: int64 [U].

    Args:
        batch_size: int64, a number for one user, or one per user.
        item_side: something with one entry per row; None where nothing is item-side.

    Raises:
        ValueError: a user has no row, or there are not as many rows as that.
    """
    counts = batch_size.reshape(-1).to(torch.int64)
    if counts.numel() == 0 or int(counts.min().item()) < 1:
        raise ValueError("batch_size must be at least 1")
    if item_side is not None and item_side.size(0) != int(counts.sum().item()):
        raise ValueError("batch_size is not the number of rows of the item-side features")
    return counts


@torch.fx.wrap
def user_of_row(counts: torch.Tensor) -> torch.Tensor:
    """The user of each row: int64 [B]."""
    return torch.repeat_interleave(torch.arange(counts.numel(), device=counts.device), counts)


@torch.fx.wrap
def tile_rows(values: torch.Tensor, counts: torch.Tensor, users: torch.Tensor) -> torch.Tensor:
    """Each user's entry once per row: [U, ...] to [B, ...].

    Raises:
        ValueError: there are not as many entries as users.
    """
    if values.size(0) != counts.numel():
        raise ValueError("a user-side feature does not have one row per user")
    if counts.numel() == users.numel():
        return values
    if counts.numel() == 1:
        return values.expand([users.numel()] + list(values.shape[1:]))
    return values.index_select(0, users)


@torch.fx.wrap
def tile_steps(values: torch.Tensor, lengths: torch.Tensor, counts: torch.Tensor, users: torch.Tensor) -> torch.Tensor:
    """Each user's steps, or ids, once per row: [sum over users, ...] to [sum over rows, ...].

    Args:
        values: of all users, one after the other.
        lengths: how many each user has, [U].

    Raises:
        ValueError: there are not as many lengths as users.
    """
    if lengths.numel() != counts.numel():
        raise ValueError("a user-side feature does not have one row per user")
    if counts.numel() == users.numel():
        return values
    if counts.numel() == 1:
        return values.repeat([users.numel()] + [1] * (values.dim() - 1))
    begins = jagged.offsets_of(lengths).index_select(0, users)
    tiled = lengths.to(torch.int64).index_select(0, users)
    ends = torch.cumsum(tiled, 0)
    shifts = torch.repeat_interleave(begins - ends + tiled, tiled)
    return values.index_select(0, shifts + torch.arange(shifts.numel(), device=values.device))


@torch.fx.wrap
def with_empty_rows(lengths: torch.Tensor, users: torch.Tensor) -> torch.Tensor:
    """Lengths of U users and then zeros, as many as there are rows: [B]; lookups take features of equal rows."""
    return torch.nn.functional.pad(lengths, [0, users.numel() - lengths.numel()])


def once_per_user(batch: Mapping[str, torch.Tensor], names: Collection[str]) -> dict[str, torch.Tensor]:
    """A batch with the named features as they came, one row per user."""
    raw = {key.removesuffix(ONCE): tensor for key, tensor in batch.items() if key.endswith(ONCE)}
    return {**batch, **{key: tensor for key, tensor in raw.items() if key.rpartition(".")[0] in names}}


def with_batch_size(batch: Mapping[str, torch.Tensor], rows: int) -> dict[str, torch.Tensor]:
    """A batch in which each row is a user of its own, as a tiled model takes it."""
    return {**batch, BATCH_SIZE: torch.ones(rows, dtype=torch.int64)}
