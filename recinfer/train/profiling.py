"""A trace of a few training steps, for chrome://tracing or Perfetto."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

WAIT, WARMUP, ACTIVE = 5, 2, 8


@contextmanager
def step_profiler(enabled: bool, folder: Path) -> Iterator[Callable[[], None]]:
    """Yields what to call after each step; writes ``profile/trace.json`` under ``folder`` after the fifteenth."""
    if not enabled:
        yield lambda: None
        return

    def write(profiler: torch.profiler.profile) -> None:
        path = folder / "profile" / "trace.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        profiler.export_chrome_trace(str(path))

    schedule = torch.profiler.schedule(wait=WAIT, warmup=WARMUP, active=ACTIVE, repeat=1)
    with torch.profiler.profile(schedule=schedule, on_trace_ready=write) as profiler:
        yield profiler.step
