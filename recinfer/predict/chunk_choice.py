"""Chooses the scoring chunk by a short measurement on real rows."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import pyarrow as pa
import torch

from recinfer.data.batch import Chunking
from recinfer.predict.scorer import DEFAULT_ROWS, DEFAULT_STEPS, Scorer

ROWS = (512, 1024, 2048, 4096)
STEPS = (750, 1500, 3000)

# A candidate must beat the default by this factor: less is noise on a shared machine.
MARGIN = 1.1

# One round over the candidates; stop starting new ones after this many seconds.
BUDGET_SECONDS = 1.0


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
    tensors = scorer.parser(sample)
    times: dict[Chunking, list[float]] = {candidate: [] for candidate in candidates}
    began = time.perf_counter()
    # Interleaved rounds, so that a slow moment of the machine touches all candidates alike; the first one warms up.
    for round_number in range(4):
        if round_number > 1 and time.perf_counter() - began > BUDGET_SECONDS:
            break
        for candidate in candidates:
            scorer.chunking = candidate
            start = time.perf_counter()
            scorer.score_tensors(tensors, sample.num_rows)
            if round_number:
                times[candidate].append(time.perf_counter() - start)
    return {candidate: statistics.median(spent) for candidate, spent in times.items()}
