"""A profile of a run: a trace of the scorers' operators, and the time of each stage."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import torch
from torch._C._profiler import _ExperimentalConfig

from recinfer.errors import OutputError
from recinfer.predict.progress import Progress, Snapshot

OnProgress = Callable[[Snapshot], None]

TRACE = "trace.json"
STAGES = "stages.json"

# Batches that are traced: enough to see every operator many times, few enough for a trace that a viewer opens.
TRACED_BATCHES = 8


class ScoringProfile:
    """Traces the first batches of all scorer threads and writes the stage times at the end.

    The trace begins and ends on the thread that enters and leaves the profile, as the profiler demands.

    Args:
        folder: made where it is missing.
        progress: of the run.

    Raises:
        OutputError: the folder cannot be written.
    """

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder = folder
        self._progress = progress
        self._lock = threading.Lock()
        self._batches = 0
        self._profiler: torch.profiler.profile | None = torch.profiler.profile(
            activities=[torch.profiler.ProfilerActivity.CPU],
            record_shapes=True,
            experimental_config=_ExperimentalConfig(profile_all_threads=True),
        )
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder} cannot be written: {error.strerror}", "choose another output") from error

    def step(self) -> None:
        """Called by each scorer thread after each batch."""
        with self._lock:
            self._batches += 1

    def watched(self, on_progress: OnProgress | None) -> OnProgress:
        """What the watching thread is to call instead of ``on_progress``: it ends the trace in time."""

        def look(snapshot: Snapshot) -> None:
            if self._batches >= TRACED_BATCHES:
                self._finish()
            if on_progress is not None:
                on_progress(snapshot)

        return look

    def _finish(self) -> None:
        if self._profiler is not None:
            self._profiler.stop()
            self._profiler.export_chrome_trace(str(self._folder / TRACE))
            self._profiler = None

    def __enter__(self) -> ScoringProfile:
        assert self._profiler is not None
        self._profiler.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finish()
        table = {
            clock.name: {"threads": clock.threads, "busy_seconds": clock.busy}
            for clock in self._progress.clocks.values()
        }
        content = {"seconds": self._progress.seconds, "rows": self._progress.rows, "stages": table}
        (self._folder / STAGES).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
