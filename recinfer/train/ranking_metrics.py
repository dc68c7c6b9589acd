"""Metrics that torchmetrics does not have: AUC within groups, normalised entropy, recall of several."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class GroupedAUC:
    """The mean of the AUCs within groups, each group with both labels counted once; others have no AUC.

    Holds every row, 17 bytes each.
    """

    def __init__(self) -> None:
        self._scores: list[npt.NDArray[Any]] = []
        self._labels: list[npt.NDArray[Any]] = []
        self._groups: list[Integers] = []

    def update(self, scores: torch.Tensor, labels: torch.Tensor, groups: torch.Tensor) -> None:
        """Adds a batch: scores [B], labels 0 or 1 [B], group codes int64 [B]."""
        self._scores.append(scores.double().cpu().numpy())
        self._labels.append(labels.bool().cpu().numpy())
        self._groups.append(groups.cpu().numpy())

    def compute(self) -> float:
        """The metric, or NaN where no group has both labels."""
        if not self._scores:
            return math.nan
        aucs = group_aucs(np.concatenate(self._scores), np.concatenate(self._labels), np.concatenate(self._groups))
        return float(np.mean(aucs)) if len(aucs) else math.nan

    def reset(self) -> None:
        """Forgets all rows."""
        self.__init__()  # type: ignore[misc]


def group_aucs(scores: Floats, labels: npt.NDArray[Any], groups: Integers) -> Floats:
    """The exact AUC of each group that has both labels, in order of group code; ties count one half.

    From the rank sum of the positives (Mann and Whitney, 1947), all groups at once.
    """
    order = np.lexsort((scores, groups))
    scores, positive, groups = scores[order], labels[order].astype(np.float64), groups[order]
    count = len(groups)
    new_group = np.r_[True, groups[1:] != groups[:-1]]
    new_value = new_group | np.r_[True, scores[1:] != scores[:-1]]
    group_start = np.flatnonzero(new_group)
    value_start = np.flatnonzero(new_value)
    value_end = np.r_[value_start[1:], count]
    group_of_row = np.cumsum(new_group) - 1
    value_of_row = np.cumsum(new_value) - 1
    # Ranks count from 1 within the group; equal scores share the mean of theirs.
    middle = (value_start + value_end + 1) / 2.0
    ranks = middle[value_of_row] - group_start[group_of_row]
    sizes = np.diff(np.r_[group_start, count])
    positives = np.bincount(group_of_row, positive)
    rank_sums = np.bincount(group_of_row, positive * ranks)
    pairs = positives * (sizes - positives)
    wins = rank_sums - positives * (positives + 1) / 2
    return wins[pairs > 0] / pairs[pairs > 0]


class NormalizedEntropy:
    """Cross entropy over the entropy of always saying the mean label (He et al., ADKDD 2014): below 1 is a gain.

    Args:
        eta: the mean label is kept this far from 0 and 1.
    """

    def __init__(self, eta: float = 1e-12) -> None:
        self.eta = eta
        self.reset()

    def update(self, scores: torch.Tensor, labels: torch.Tensor) -> None:
        """Adds a batch: probabilities [B], labels 0 or 1 [B]."""
        label = labels.double()
        # Logarithms end at -100, so that a sure score costs a lot, and not everything, where it is wrong.
        self._entropy += float(functional.binary_cross_entropy(scores.double(), label, reduction="sum"))
        self._positives += float(label.sum())
        self._rows += len(label)

    def compute(self) -> float:
        """The metric, or NaN where all labels are equal or there is no row."""
        if self._positives in (0.0, float(self._rows)):
            return math.nan
        rate = min(max(self._positives / self._rows, self.eta), 1 - self.eta)
        negatives = self._rows - self._positives
        return self._entropy / -(self._positives * math.log(rate) + negatives * math.log(1 - rate))

    def reset(self) -> None:
        """Forgets all rows."""
        self._entropy, self._positives, self._rows = 0.0, 0.0, 0


class RecallAtK:
    """How many of the relevant candidates are among the ``top_k`` of their row.

    Args:
        top_k: at least 1.
    """

    def __init__(self, top_k: int) -> None:
        self.top_k = top_k
        self.reset()

    def update(self, scores: torch.Tensor, target: torch.Tensor) -> None:
        """Adds a batch: scores [B, C], and the relevant candidates as bool [B, C], or the only one of a row, [B]."""
        relevant = functional.one_hot(target, scores.size(1)).bool() if target.dim() == 1 else target.bool()
        best = torch.topk(scores, min(self.top_k, scores.size(1)), dim=1).indices
        self._found += int(relevant.gather(1, best).sum())
        self._relevant += int(relevant.sum())

    def compute(self) -> float:
        """The metric, or NaN where nothing is relevant."""
        return self._found / self._relevant if self._relevant else math.nan

    def reset(self) -> None:
        """Forgets all rows."""
        self._found, self._relevant = 0, 0
