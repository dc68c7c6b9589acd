"""XAUC, the AUC of amounts: how many pairs of rows are in the right order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]


class XAUC:
    """The share of all pairs of rows whose scores are in the order of their labels (Wang et al., arXiv:2206.06003).

    Ties are wrong, of scores and of labels, as in TorchEasyRec, which draws pairs at random. Here all pairs are
    counted, in ``n log n`` steps: the value that its draws scatter around. Holds every row, 8 bytes each.

    Args:
        in_batch: pairs within batches only; the mean over the batches that have a pair. Holds one number a batch.
    """

    def __init__(self, in_batch: bool = False) -> None:
        self.in_batch = in_batch
        self.reset()

    def update(self, scores: torch.Tensor, labels: torch.Tensor) -> None:
        """Adds a batch: scores [B], labels [B]."""
        self._rows.append((_numpy(scores), _numpy(labels)))
        if self.in_batch:
            self._shares.append(self._share())
            self._rows.clear()

    def compute(self) -> float:
        """The metric, or NaN where there is no pair."""
        shares = [share for share in self._shares if share == share] if self.in_batch else [self._share()]
        return float(np.mean(shares)) if shares else math.nan

    def reset(self) -> None:
        """Forgets all rows."""
        self._rows: list[tuple[Floats, Floats]] = []
        self._shares: list[float] = []

    def _share(self) -> float:
        if not self._rows:
            return math.nan
        scores, labels = (np.concatenate(column) for column in zip(*self._rows, strict=True))
        ordered, pairs = pairs_in_order(scores, labels, np.zeros(len(scores), np.int64))
        return float(ordered[0] / pairs[0]) if len(pairs) and pairs[0] else math.nan


class GroupedXAUC:
    """The mean of the XAUCs within groups, weighed by their rows; groups of one row have none.

    Counts all pairs of a group, where TorchEasyRec draws ``max_pairs_per_group`` of them. Holds every row, 16 bytes
    each.
    """

    def __init__(self) -> None:
        self.reset()

    def update(self, scores: torch.Tensor, labels: torch.Tensor, groups: torch.Tensor) -> None:
        """Adds a batch: scores [B], labels [B], group codes int64 [B]."""
        self._rows.append((_numpy(scores), _numpy(labels), groups.cpu().numpy()))

    def compute(self) -> float:
        """The metric, or NaN where no group has two rows."""
        if not self._rows:
            return math.nan
        scores, labels, groups = (np.concatenate(column) for column in zip(*self._rows, strict=True))
        ordered, pairs = pairs_in_order(scores, labels, groups)
        some = pairs > 0
        if not some.any():
            return math.nan
        # A group of n rows has n (n - 1) / 2 pairs.
        rows = (1 + np.sqrt(1 + 8 * pairs[some])) / 2
        return float(np.average(ordered[some] / pairs[some], weights=rows))

    def reset(self) -> None:
        """Forgets all rows."""
        self._rows: list[tuple[Floats, Floats, Integers]] = []


def pairs_in_order(scores: Floats, labels: Floats, groups: Integers) -> tuple[Integers, Integers]:
    """For each group, in order of its code, the pairs whose scores and labels differ alike, and all its pairs.

    Args:
        scores, labels: [N].
        groups: [N].

    Returns:
        Two int64 [G].
    """
    if not len(scores):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    _, rank = np.unique(scores, return_inverse=True)
    # By label, and among equal labels from high to low scores: what is left to count are the pairs whose scores rise.
    order = np.lexsort((-rank, labels, group))
    group, rank = group[order], rank[order].astype(np.int64)
    ordered = np.zeros(len(sizes), np.int64)
    for bit in reversed(range(int(rank.max()).bit_length())):
        # Two scores differ first in one bit: count by that bit, among rows that agree in all higher ones.
        place = np.lexsort((rank >> (bit + 1), group))
        ordered += _rises(group[place], rank[place] >> bit, len(sizes))
    return ordered, sizes * (sizes - 1) // 2


def _rises(group: Integers, prefix: Integers, count: int) -> Integers:
    """Pairs of a group, [count], that agree but for the last bit, which the first row has not and the second has."""
    high = prefix & 1
    start = np.r_[True, (group[1:] != group[:-1]) | (prefix[1:] >> 1 != prefix[:-1] >> 1)]
    low_before = np.cumsum(1 - high) - (1 - high)
    low_here = low_before - low_before[np.maximum.accumulate(np.where(start, np.arange(len(group)), 0))]
    # Sums of float64 are exact here: a group of 10^8 rows still has fewer than 2^53 pairs.
    rises: Integers = np.bincount(group, high * low_here, minlength=count).astype(np.int64)
    return rises


def _numpy(tensor: torch.Tensor) -> Floats:
    values: Floats = tensor.float().cpu().numpy()
    return values
