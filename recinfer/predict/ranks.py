"""One prediction by several processes: rank 0 plans, opens and completes; all draw units until none is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recinfer.data.commit import OutputFolder
from recinfer.data.units import Unit
from recinfer.distributed.store import StoreLostError
from recinfer.distributed.unit_claims import UnitClaims
from recinfer.predict.job import Prepared, Share, make_work, score, summarize
from recinfer.predict.options import PredictOptions
from recinfer.predict.pipeline import OnProgress
from recinfer.predict.progress import Snapshot
from recinfer.predict.rank_gathering import wait_for_all, wait_for_word
from recinfer.predict.rank_job import JobCard, announce, prepare_by_plan, read_job
from recinfer.predict.rank_report import add_up, report_of
from recinfer.predict.rank_session import Session
from recinfer.predict.scorer import Scorer
from recinfer.predict.stages import Work
from recinfer.predict.stop import StopFlag
from recinfer.predict.summary import PredictSummary

# Entered around a process's scoring, with what its stages share.
Scoring = Callable[[Session, Work, StopFlag], AbstractContextManager[None]]


def alone(session: Session, work: Work, stop: StopFlag) -> AbstractContextManager[None]:
    """Each process scores for itself."""
    return nullcontext()


@dataclass(frozen=True)
class Done:
    """What a process has done of a job."""

    work: Work
    seconds: float


def lead(
    session: Session,
    prepared: Prepared,
    output_path: str | Path,
    options: PredictOptions,
    scoring: Scoring = alone,
    *,
    on_progress: OnProgress | None = None,
    began: float | None = None,
) -> PredictSummary:
    """Rank 0's part, from the prepared plan to ``_SUCCESS``.

    Args:
        scoring: entered while this process scores.

    Raises:
        RankError: a process was lost; names it and its units.
        RecinferError: what went wrong on any rank; the folder can be resumed.
    """
    start = time.perf_counter()
    with OutputFolder.open(output_path, prepared.plan, resume=options.resume, overwrite=options.overwrite) as output:
        session.pending, session.missing = output.pending(), output.recount
        session.board.add("bad", output.totals.quarantined)
        session.board.put("job", announce(prepared, output).to_text())
        wait_for_all(session, "joined")
        session.board.put("go", "go")
        ready = time.perf_counter()
        done = _score_share(session, prepared, output, options, scoring, _of_the_job(session, on_progress))
        lost = session.wait_for_others()
        left = output.recount()
        if session.roll.failures or (left and session.ending.asked):
            raise session.why()
        if left and lost:
            raise session.lost(lost)
        seconds = time.perf_counter() - ready
        totals = output.finish()
        session.close("done")
        mine = summarize(prepared, done.work, totals, seconds, start - (began or start), output)
        reports = {rank: session.roll.report(rank) for rank in session.others}
        return add_up(mine, report_of(mine, done.work), reports)


def follow(session: Session, scorer: Scorer, options: PredictOptions, scoring: Scoring = alone) -> None:
    """Another rank's part.

    Args:
        scoring: entered while this process scores.

    Raises:
        RecinferError: what went wrong here, for rank 0 to say.
        ToldByOtherRankError: the job has failed.
    """
    rank = session.roll.rank
    card = JobCard.from_text(wait_for_word(session, "job"))
    if not card.units:
        session.board.add("joined", 1)
        session.roll.leave({})
        session.wait_for_end()
        return
    with session.ending.interrupts():
        plan, pending = read_job(card)
        prepared = prepare_by_plan(scorer, card, plan, options, rank)
    with OutputFolder.join(card.root, card.target, plan) as output:
        session.pending, session.missing = pending, output.recount
        session.board.add("joined", 1)
        wait_for_word(session, "go")
        done = _score_share(session, prepared, output, options, scoring, None)
        summary = summarize(prepared, done.work, output.totals, done.seconds, 0.0, output)
    session.ending.check()
    session.roll.leave(report_of(summary, done.work))
    session.wait_for_end()


def _score_share(
    session: Session,
    prepared: Prepared,
    output: OutputFolder,
    options: PredictOptions,
    scoring: Scoring,
    on_progress: OnProgress | None,
) -> Done:
    """Draws units and scores them until there are no more, or until this process is asked to end."""
    pending, rank = session.pending, session.roll.rank
    claims = UnitClaims(
        session.board,
        rank,
        len(pending),
        until=lambda: session.ending.asked,
        is_done=lambda position: output.is_done(pending[position]),
    )

    cut_off: list[StoreLostError] = []

    def units() -> Iterator[Unit]:
        try:
            for position in claims:
                yield pending[position]
        except StoreLostError as error:
            # What is in hand can be finished without the store.
            cut_off.append(error)

    stop = StopFlag()
    share = Share(pending, units(), lambda rows: session.board.add("bad", rows))
    work = make_work(prepared, output, options, stop, share)
    session.heart.rows = lambda: work.progress.rows
    if options.profile_dir is not None:
        options = replace(options, profile_dir=options.profile_dir / f"rank-{rank}")
    if pending:
        with session.ending.draining(stop.stop), scoring(session, work, stop):
            score(prepared, work, options, stop, on_progress)
        if cut_off:
            raise cut_off[0]
        session.heart.beat()
    return Done(work, work.progress.seconds)


def _of_the_job(session: Session, on_progress: OnProgress | None) -> OnProgress | None:
    """Shows all processes' rows instead of this one's."""
    if on_progress is None:
        return None
    show: Callable[[Snapshot], Any] = on_progress
    return lambda snapshot: show(replace(snapshot, rows=max(session.heart.job_rows, snapshot.rows)))
