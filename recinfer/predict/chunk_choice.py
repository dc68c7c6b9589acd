"""Chooses the scoring chunk by a short measurement on real rows."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import torch

from recinfer.data.batch import Chunking
from recinfer.predict.scorer import DEFAULT_ROWS, DEFAULT_STEPS, Scorer

ROWS = (512, 1024, 2048)
STEPS = (750, 1500, 3000)

# A candidate must beat the default by this factor: less is noise on a shared machine.
MARGIN = 1.04

# Rows that are scored per candidate and round: a few of the largest chunks, so that the choice takes a second.
MEASURED_ROWS = 4096
MEASURED_STEPS = 4 * STEPS[-1]
ROUNDS = 5


def choose_chunking(scorer: Scorer, sample: pa.RecordBatch) -> Chunking:
    """Times candidate chunks on a sample and returns the fastest, or the default where none is clearly faster.

    Args:
        scorer: warmed up; its ``chunking`` is changed while measuring and left as it was.
        sample: parsed rows of the input; few rows limit the candidates.
    """
    default = Chunking(DEFAULT_ROWS, DEFAULT_STEPS if scorer.sequences else None)
    candidates = _candidates(scorer, sample.num_rows)
    if sample.num_rows < DEFAULT_ROWS or len(candidates) < 2:
        return default
    threads, held = torch.get_num_threads(), scorer.chunking
    torch.set_num_threads(1)
    try:
        seconds = _measure(scorer, sample, candidates)
    finally:
        torch.set_num_threads(threads)
        scorer.chunking = held
    best = min(candidates, key=lambda candidate: seconds[candidate])
    return best if seconds[best] * MARGIN < seconds[default] else default


def _candidates(scorer: Scorer, rows: int) -> list[Chunking]:
    if scorer.sequences:
        return [Chunking(DEFAULT_ROWS, steps) for steps in STEPS]
    return [Chunking(size) for size in ROWS if size <= max(rows, DEFAULT_ROWS)]


def _measure(scorer: Scorer, sample: pa.RecordBatch, candidates: Sequence[Chunking]) -> dict[Chunking, float]:
    rows = _measured_rows(scorer, sample)
    tensors = scorer.parser(sample.slice(0, rows))
    times: dict[Chunking, list[float]] = {candidate: [] for candidate in candidates}
    # Interleaved rounds of this thread's own processor time: another job on the machine then does not decide for us.
    # The first round warms up.
    for round_number in range(ROUNDS):
        for candidate in candidates:
            scorer.chunking = candidate
            start = time.thread_time()
            scorer.score_tensors(tensors, rows)
            if round_number:
                times[candidate].append(time.thread_time() - start)
    # What disturbs a measurement only ever slows it down, so the least is nearest to the truth.
    return {candidate: min(spent) for candidate, spent in times.items()}


def _measured_rows(scorer: Scorer, sample: pa.RecordBatch) -> int:
    """Rows of the sample that are scored: limited in rows, and in steps where there are sequences."""
    rows = min(sample.num_rows, MEASURED_ROWS)
    steps = scorer.row_steps(scorer.parser(sample.slice(0, rows)))
    if steps is None:
        return rows
    return max(int(np.searchsorted(np.cumsum(steps), MEASURED_STEPS)), 1)
