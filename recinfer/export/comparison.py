"""Two ways to score the same rows, side by side: how their scores differ, and how fast each is."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from recinfer.predict.scorer import Scorer

QUANTILES = (0.5, 0.9, 0.99, 0.999)
# A side is timed for about so long in each round, so that the clock and a single hiccup weigh little.
ROUND_SECONDS = 0.3
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ScoreDifference:
    """Absolute differences of one prediction.

    Attributes:
        largest, mean: over all numbers of the prediction.
        quantiles: by share of the numbers that differ by no more, such as ``0.99``.
        undefined: places where only one side has a number; they do not count above.
    """

    largest: float
    mean: float
    quantiles: dict[str, float]
    undefined: int = 0


@dataclass(frozen=True)
class AucPair:
    """AUC of both sides for one prediction; ``change`` is the second less the first."""

    label: str
    rows: int
    first: float
    second: float
    change: float


@dataclass(frozen=True)
class Speed:
    """Rows a second of one side, over all rounds."""

    median: float
    slowest: float
    fastest: float


@dataclass(frozen=True)
class Side:
    """One of the two.

    Attributes:
        path: as given.
        kind: of an export, or ``checkpoint``.
        bytes: of its files.
        speed: of scoring parsed rows.
    """

    path: str
    kind: str
    bytes: int
    speed: Speed


@dataclass(frozen=True)
class Comparison:
    """How two models score the same rows.

    Attributes:
        data, rows: what was scored.
        first, second: the sides.
        speed_ratio: median rows a second of the second side to the first's.
        differences: by prediction that both have.
        auc: by prediction whose label the data has.
        only_first, only_second: predictions that one side alone has.
    """

    data: str
    rows: int
    first: Side
    second: Side
    speed_ratio: float
    differences: dict[str, ScoreDifference]
    auc: dict[str, AucPair]
    only_first: list[str]
    only_second: list[str]

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)


def differences(first: pa.Table, second: pa.Table) -> dict[str, ScoreDifference]:
    """Differences of each prediction that both tables have."""
    common = [name for name in first.column_names if name in second.column_names]
    return {name: difference(flat(first.column(name)), flat(second.column(name))) for name in common}


def difference(first: Numbers, second: Numbers) -> ScoreDifference:
    """Differences of one prediction; where the sides give other numbers of numbers, nothing can be compared."""
    if len(first) != len(second):
        return ScoreDifference(float("nan"), float("nan"), {}, max(len(first), len(second)))
    both_undefined = np.isnan(first) & np.isnan(second)
    # Equal infinities would give NaN; equal is equal.
    with np.errstate(invalid="ignore"):
        distance = np.where(first == second, 0.0, np.abs(first - second))
    one_undefined = np.isnan(first) != np.isnan(second)
    counted = distance[~both_undefined & ~one_undefined]
    if not len(counted):
        return ScoreDifference(0.0, 0.0, dict.fromkeys(map(str, QUANTILES), 0.0), int(one_undefined.sum()))
    return ScoreDifference(
        float(counted.max()),
        float(counted.mean()),
        {str(share): float(np.quantile(counted, share)) for share in QUANTILES},
        int(one_undefined.sum()),
    )


def auc(scores: Numbers, labels: npt.NDArray[np.bool_]) -> float:
    """Area under the ROC curve by ranks (Mann-Whitney), ties count half; NaN where one label alone occurs."""
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        return float("nan")
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    # Scores that are equal share the middle of the ranks that they take.
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return float((ranks[labels].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def auc_pair(label: str, labels: Numbers, first: Numbers, second: Numbers) -> AucPair | None:
    """AUC of both sides; None where labels are not 0 and 1, or but one of the two, or a score is not a number.

    Args:
        labels: NaN where a row has none; such rows do not count.
    """
    known = ~np.isnan(labels)
    labels, first, second = labels[known], first[known], second[known]
    if set(np.unique(labels)) != {0.0, 1.0} or np.isnan(first).any() or np.isnan(second).any():
        return None
    left, right = auc(first, labels > 0), auc(second, labels > 0)
    return AucPair(label, len(labels), left, right, right - left)


def speeds(scorers: Sequence[Scorer], rows: pa.RecordBatch, rounds: int) -> list[Speed]:
    """Rows a second of scoring parsed rows on one thread, in interleaved rounds: what slows the machine slows all.

    Args:
        scorers: warmed up here; each scores in its own chunks.
        rows: to score, over and over.
        rounds: how often each takes its turn.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        runs = [_run(scorer, rows) for scorer in scorers]
        repeats = [_repeats(run) for run in runs]
        found: list[list[float]] = [[] for _ in scorers]
        for turn in range(rounds):
            # Every other round goes backwards, so that no side always follows the same one.
            for place in range(len(runs)) if turn % 2 == 0 else reversed(range(len(runs))):
                found[place].append(rows.num_rows * repeats[place] / _seconds(runs[place], repeats[place]))
    finally:
        torch.set_num_threads(threads)
    return [Speed(statistics.median(each), min(each), max(each)) for each in found]


def flat(column: pa.ChunkedArray) -> Numbers:
    """All numbers of a column, lists taken apart."""
    array = column.combine_chunks()
    while pa.types.is_list(array.type):
        array = array.flatten()
    values: npt.NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return values.astype(np.float64)


def _run(scorer: Scorer, rows: pa.RecordBatch) -> Callable[[], object]:
    tensors: Mapping[str, torch.Tensor] = scorer.parser(rows)
    return lambda: scorer.score_tensors(dict(tensors), rows.num_rows)


def _repeats(run: Callable[[], object]) -> int:
    """How often to run in a round. The first calls are slow, and do not count."""
    _seconds(run, 2)
    return max(1, round(ROUND_SECONDS / max(_seconds(run, 1), 1e-6)))


def _seconds(run: Callable[[], object], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        run()
    return time.perf_counter() - start
