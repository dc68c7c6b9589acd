"""How a process scores its share with a sharded model, in step with the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed as dist

from recinfer.distributed.agreement import Agreement
from recinfer.predict.rank_session import Session
from recinfer.predict.ranks import Scoring
from recinfer.predict.sharded_lookout import Lookout
from recinfer.predict.sharded_scorer import ShardedScorer
from recinfer.predict.sharded_stage import StepStage
from recinfer.predict.stages import Work
from recinfer.predict.stop import StopFlag

# A step in which a process is missing never ends; after so long it is left behind.
LEAVE_SECONDS = 5.0


def in_step(scorer: ShardedScorer, group: dist.ProcessGroup) -> Scoring:
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
        with lookout.watching(stop):
            yield

    return scoring
