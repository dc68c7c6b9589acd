"""How a process scores its share with a sharded model, in step with the others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed as dist

from recinfer.data.units import Unit
from recinfer.distributed.agreement import Agreement
from recinfer.predict.rank_session import Session
from recinfer.predict.ranks import Scoring
from recinfer.predict.sharded_lookout import Lookout
from recinfer.predict.sharded_scorer import ShardedScorer
from recinfer.predict.sharded_stage import StepStage
from recinfer.predict.stages import Work
from recinfer.predict.stop import StopFlag

# A step in which a process is missing never ends; after so long it is left behind.
LEAVE_SECONDS = 3.0
# Whoever reads far ahead takes units from processes that then have nothing to do in the same steps.
UNITS_AHEAD = 2
BATCHES_AHEAD = 4
PAUSE_SECONDS = 0.02


def scoring_in_step(scorer: ShardedScorer, group: dist.ProcessGroup) -> Scoring:
    """What :func:`recinfer.predict.ranks.lead` and ``follow`` enter while they score.

    Args:
        scorer: of the sharded model.
        group: for the processes' agreement on steps, and nothing else.
    """

    @contextmanager
    def scoring(session: Session, work: Work, stop: StopFlag) -> Iterator[None]:
        lookout = Lookout(session)
        ending = session.ending
        agreement = Agreement(group)
        work.score = StepStage(scorer, agreement, stop, lambda: ending.asked, ending.ask, lookout.explain)
        work.patience = LEAVE_SECONDS
        work.units = _paced(iter(work.units), work, stop)
        with lookout.watching(stop):
            yield

    return scoring


def _paced(units: Iterator[Unit], work: Work, stop: StopFlag) -> Iterator[Unit]:
    """The units, each drawn when most rows of those before are written."""
    begun, rows = 0, 0
    while True:
        while (
            begun - work.progress.units >= UNITS_AHEAD and rows - work.progress.rows >= BATCHES_AHEAD * work.batch_rows
        ):
            stop.check()
            time.sleep(PAUSE_SECONDS)
        unit = next(units, None)
        if unit is None:
            return
        begun, rows = begun + 1, rows + unit.rows
        yield unit
