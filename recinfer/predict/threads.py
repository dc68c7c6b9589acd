"""How many scorer threads a run uses."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def scorer_threads(wanted: int | None) -> int:
    """Scorer threads of a run, one core each.

    One per core measured fastest: reading, parsing and writing take a tenth of the time and fit in between.

    Args:
        wanted: by the user, or None.
    """
    return wanted if wanted else available_cores()


def rank_threads(local_rank: int, local_ranks: int) -> int:
    """Scorer threads of one of several processes on a machine: its share of the cores, at least one.

    Args:
        local_rank: which of them, from 0; the first ones take what does not divide.
        local_ranks: how many there are.
    """
    cores = available_cores()
    return max(cores // local_ranks + (local_rank < cores % local_ranks), 1)
