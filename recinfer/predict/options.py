"""How to predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PredictOptions:
    """How to predict; see the command's help for what each means to a user.

    Attributes:
        reserved_columns, output_columns: of the output.
        batch_size: rows per read, rounded down to whole chunks; None for a default.
        predict_threads: scorer threads; None for one per core.
        predict_steps: most batches; None for all.
        writer: a key of :data:`recinfer.data.writers.WRITERS`.
        resume, overwrite: what to do with output that is there.
        quarantine: whether bad rows are put aside; ``max_bad_rows`` of them at most.
        profile_dir: where to write a profile; None for none.
        debug: whether parsed features go beside the scores.
        stall_seconds: after which a run without progress is reported.
        unit_rows, unit_bytes: targets for work units; None for the defaults.
    """

    reserved_columns: Sequence[str] = ()
    output_columns: Sequence[str] | None = None
    batch_size: int | None = None
    predict_threads: int | None = None
    predict_steps: int | None = None
    writer: str = "ParquetWriter"
    resume: bool = True
    overwrite: bool = False
    quarantine: bool = False
    max_bad_rows: int | None = None
    profile_dir: Path | None = None
    debug: bool = False
    stall_seconds: float = 120.0
    unit_rows: int | None = None
    unit_bytes: int | None = None
