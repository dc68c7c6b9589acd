"""What training tells its caller: after each step, and at the end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from recinfer.data.storage.remote_path import RemotePath


@dataclass(frozen=True)
class StepResult:
    """What a step came to, for progress displays.

    Attributes:
        step: updates done, this one included.
        epoch: the running pass, from 0.
        rows: of the batches of all ranks.
        loss: total loss before the update, a scalar tensor; of several ranks, that of this one's rows.
        rates: learning rates of this update.
    """

    step: int
    epoch: int
    rows: int
    loss: torch.Tensor
    rates: dict[str, float]


@dataclass(frozen=True)
class TrainReport:
    """How training went.

    Attributes:
        step, epoch: updates and whole passes done, over all runs.
        rows: trained on in this run.
        seconds: of this run, evaluations included.
        loss: of the last step of this run, the mean over ranks; None if there was none to do.
        metrics: of the last evaluation.
        checkpoint: the last one.
        resumed_from: the checkpoint that this run went on from.
    """

    step: int
    epoch: int
    rows: int
    seconds: float
    loss: float | None
    metrics: dict[str, float]
    checkpoint: Path | RemotePath
    resumed_from: Path | RemotePath | None = None
