"""Feeds models that take user-side features once per user (``INPUT_TILE``) with rows that repeat them.

Rows of one user are those that follow each other with equal user-side features. Whatever the order of the rows, scores
are those of the untiled model; only how much is saved depends on it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from recinfer.data.batch import BatchSlicer
from recinfer.data.json_object import read_json_object
from recinfer.data.parser import Tensors
from recinfer.errors import ModelError

SWITCHES = "model_acc.json"
# Keys of `model_acc.json`; exports of the reference lack the last one, and take one user per call.
TILE, ONLINE, MANY_USERS = "INPUT_TILE", "INPUT_TILE_3_ONLINE", "INPUT_TILE_MANY_USERS"

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class UserRows:
    """Turns batches with one row per row into batches with one user-side row per user.

    Attributes:
        users: names of the user-side features.
        many: whether a call takes several users.
    """

    users: frozenset[str]
    many: bool

    def run(self, tensors: Tensors, model: Callable[[Tensors], Tensors]) -> Tensors:
        """Scores one chunk of at least one row.

        Args:
            tensors: as the parser makes them, B rows.
            model: takes them with user-side features once per user, and ``batch_size``.
        """
        first = first_rows(tensors, self.users)
        if self.many:
            return model(self._once(tensors, first))
        runs = itertools.pairwise([*np.flatnonzero(first).tolist(), len(first)])
        scores = [model(each) for each in self._each_user(tensors, runs)]
        return {name: torch.cat([each[name] for each in scores]) for name in scores[0]}

    def _once(self, tensors: Tensors, first: Bools) -> Tensors:
        counts = np.diff(np.flatnonzero(first), append=len(first))
        out = {**tensors, "batch_size": torch.from_numpy(counts)}
        if not first.all():
            for name in self.users:
                out.update(kept_rows(tensors, name, first))
        return out

    def _each_user(self, tensors: Tensors, runs: Iterator[tuple[int, int]]) -> Iterator[Tensors]:
        mine = {key for key in tensors if key.rpartition(".")[0] in self.users}
        cut_users = BatchSlicer({key: tensors[key] for key in mine})
        cut_items = BatchSlicer({key: tensor for key, tensor in tensors.items() if key not in mine})
        for first, last in runs:
            size = torch.tensor(last - first, dtype=torch.int64)
            yield {**cut_items(first, last), **cut_users(first, first + 1), "batch_size": size}


def first_rows(tensors: Tensors, users: Collection[str]) -> Bools:
    """Which rows differ from the one before in a user-side feature: bool [B]. The first row does."""
    first: Bools | None = None
    for name in sorted(users):
        values, lengths = _array(tensors, f"{name}.values"), tensors.get(f"{name}.lengths")
        if first is None:
            first = np.zeros(len(values) if lengths is None else len(lengths), np.bool_)
            first[:1] = True
        if lengths is None:
            first[1:] |= (values[1:] != values[:-1]).any(axis=1)
            continue
        counts = _array(tensors, f"{name}.lengths")
        first[1:] |= counts[1:] != counts[:-1]
        if f"{name}.key_lengths" in tensors:
            steps = _array(tensors, f"{name}.key_lengths")
            _compare(first, [steps], counts)
            counts = _sums(steps, counts)
        weights = [_array(tensors, f"{name}.weights")] if f"{name}.weights" in tensors else []
        _compare(first, [values, *weights], counts)
    assert first is not None
    return first


def kept_rows(tensors: Tensors, name: str, kept: Bools) -> Tensors:
    """The tensors of a feature for some rows only."""
    lengths = tensors.get(f"{name}.lengths")
    if lengths is None:
        return {f"{name}.values": _chosen(tensors, f"{name}.values", kept)}
    out = {f"{name}.lengths": _chosen(tensors, f"{name}.lengths", kept)}
    kept = np.repeat(kept, lengths.numpy())
    if f"{name}.key_lengths" in tensors:
        out[f"{name}.key_lengths"] = _chosen(tensors, f"{name}.key_lengths", kept)
        kept = np.repeat(kept, _array(tensors, f"{name}.key_lengths"))
    for key in (f"{name}.values", f"{name}.weights"):
        if key in tensors:
            out[key] = _chosen(tensors, key, kept)
    return out


def user_rows_of(folder: Path, user_side: Callable[[], frozenset[str]]) -> UserRows | None:
    """How an export takes its rows: None where user-side features come like others.

    Raises:
        ModelError: ``model_acc.json`` is damaged, or no feature is user-side.
    """
    switches = read_json_object(folder / SWITCHES, "export the model again")
    if str(switches.get(TILE, ""))[:1] not in ("2", "3"):
        return None
    users = user_side()
    if not users:
        raise ModelError(
            f"{folder} takes user-side features once per user, and its pipeline.config names none",
            "export the model again",
        )
    return UserRows(users, switches.get(MANY_USERS) == "1")


def _compare(first: Bools, entries: Sequence[npt.NDArray[Any]], counts: npt.NDArray[Any]) -> None:
    """Marks rows whose entries differ from those of the row before; unmarked rows must have as many as that.

    Args:
        entries: arrays of all rows' entries, one row after the other.
        counts: entries of each row, [B].
    """
    if len(counts) == len(entries[0]) and (counts == 1).all():
        for each in entries:
            first[1:] |= _differ(each[1:], each[:-1])
        return
    # An entry's counterpart lies as far back as its row has entries; entries of marked rows are their own.
    before = np.arange(len(entries[0])) - np.repeat(np.where(first, 0, counts), counts)
    for each in entries:
        differ = np.flatnonzero(_differ(each, each[before]))
        if len(differ):
            first[np.searchsorted(np.cumsum(counts), differ, side="right")] = True


def _differ(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> Bools:
    unequal: Bools = np.not_equal(left, right).reshape(len(left), math.prod(left.shape[1:]))
    found: Bools = np.logical_or.reduce(unequal, axis=1)
    return found


def _sums(steps: npt.NDArray[Any], counts: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Sums of each row's steps, [B]."""
    ends = np.concatenate([[0], np.cumsum(steps, dtype=np.int64)])
    return np.diff(ends[np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])])


def _array(tensors: Tensors, key: str) -> npt.NDArray[Any]:
    return tensors[key].numpy()


def _chosen(tensors: Tensors, key: str, kept: Bools) -> torch.Tensor:
    return torch.from_numpy(_array(tensors, key)[kept])
