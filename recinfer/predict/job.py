"""One prediction run: plan, output folder, pipeline, summary."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pyarrow as pa

from recinfer.config.problems import Problem, grouped_lines
from recinfer.data.batch import Chunking
from recinfer.data.claim import previous_plan
from recinfer.data.commit import OutputFolder
from recinfer.data.plan import Plan, make_plan
from recinfer.data.readers.base import Reader
from recinfer.data.records import Totals
from recinfer.data.units import Unit
from recinfer.errors import InputError
from recinfer.predict.assemble import OutputColumns
from recinfer.predict.chunk_choice import choose_chunking
from recinfer.predict.flow import InFlight
from recinfer.predict.memory import peak_memory_bytes
from recinfer.predict.options import PredictOptions
from recinfer.predict.pipeline import OnProgress, Watch, run_pipeline
from recinfer.predict.profile import ScoringProfile
from recinfer.predict.progress import Progress
from recinfer.predict.quarantine_policy import QuarantinePolicy
from recinfer.predict.sample import first_rows, usable_rows
from recinfer.predict.scorer import Scorer
from recinfer.predict.stages import Work
from recinfer.predict.stop import StopFlag
from recinfer.predict.summary import PredictSummary
from recinfer.predict.threads import scorer_threads

DEFAULT_BATCH_ROWS = 8192

# Few batches in flight stay in the cache from stage to stage: 256 MiB cost a tenth of the rate that these give.
IN_FLIGHT_BYTES = 16 << 20


@dataclass(frozen=True)
class Prepared:
    """A run that is ready to start."""

    reader: Reader
    scorer: Scorer
    columns: OutputColumns
    plan: Plan
    read_columns: list[str]
    batch_rows: int
    threads: int
    sample: pa.RecordBatch


@dataclass(frozen=True)
class Share:
    """The part of a job that one of several processes does.

    Attributes:
        pending: all units that the job has to do.
        claimed: those that come to this process, one by one.
        count_bad: adds bad rows to those of the whole job and returns their sum.
    """

    pending: Sequence[Unit]
    claimed: Iterable[Unit]
    count_bad: Callable[[int], int]


def prepare(reader: Reader, scorer: Scorer, output_path: str | Path | None, options: PredictOptions) -> Prepared:
    """Checks everything that can be checked before scoring, and plans.

    Raises:
        InputError: the input does not fit the model, or is empty.
        BadRowError: one of the first rows cannot be used, and bad rows are not put aside.
        UsageError: flags contradict each other.
    """
    raise_problems(scorer.parser.check_schema(reader.schema))
    columns = OutputColumns(
        scorer.outputs,
        reader.schema,
        options.output_columns,
        options.reserved_columns,
        scorer.features if options.debug else (),
    )
    read_columns = list(dict.fromkeys([*scorer.parser.columns, *columns.reserved]))
    previous = previous_plan(output_path, options.overwrite) if output_path is not None else None
    wanted = options.batch_size or DEFAULT_BATCH_ROWS
    plan = _plan(reader, scorer, columns, options, previous, wanted)
    sample = first_rows(reader, plan, read_columns, wanted, options.quarantine)
    usable = usable_rows(scorer.parser, sample, plan.units[0], options.quarantine)
    chunking = _chunking(scorer, usable, previous)
    scorer.chunking = chunking
    plan = _with_chunk(plan, chunking)
    return Prepared(
        reader,
        scorer,
        columns,
        plan,
        read_columns,
        chunking.batch_rows(wanted),
        scorer_threads(options.predict_threads),
        sample,
    )


def run(
    prepared: Prepared,
    output_path: str | Path,
    options: PredictOptions,
    *,
    on_progress: OnProgress | None = None,
    began: float | None = None,
) -> PredictSummary:
    """Scores what is pending and completes the output folder.

    Args:
        on_progress: called twice a second.
        began: ``time.perf_counter()`` at the user's call.

    Raises:
        RecinferError: what went wrong, and where; the folder can be resumed.
    """
    start = time.perf_counter()
    stop = StopFlag()
    with OutputFolder.open(output_path, prepared.plan, resume=options.resume, overwrite=options.overwrite) as output:
        work = make_work(prepared, output, options, stop)
        if output.pending():
            score(prepared, work, options, stop, on_progress)
        seconds = work.progress.seconds
        totals = output.finish()
        return summarize(prepared, work, totals, seconds, start - (began or start), output)


def score(
    prepared: Prepared, work: Work, options: PredictOptions, stop: StopFlag, on_progress: OnProgress | None
) -> None:
    """Scores and publishes the units of ``work``, with a profile where one is asked for.

    Raises:
        RecinferError: what went wrong, and where; the folder can be resumed.
    """
    with ExitStack() as stack:
        if options.profile_dir:
            profile = stack.enter_context(ScoringProfile(options.profile_dir, work.progress))
            work.around_scoring = profile.step
            on_progress = profile.watched(on_progress)
        watch = Watch(on_progress, stall_seconds=options.stall_seconds, threads=prepared.threads)
        run_pipeline(work, watch, stop)


def raise_problems(problems: Sequence[InputError]) -> None:
    """Raises all problems of an input as one error.

    Raises:
        InputError: there is at least one.
    """
    if len(problems) == 1:
        raise problems[0]
    if problems:
        listed = grouped_lines([Problem("", problem.message, problem.hint) for problem in problems])
        raise InputError("\n".join([f"the input does not fit the model: {len(problems)} problems", *listed]))


def _plan(
    reader: Reader, scorer: Scorer, columns: OutputColumns, options: PredictOptions, previous: Plan | None, wanted: int
) -> Plan:
    targets = {"target_rows": options.unit_rows, "target_bytes": options.unit_bytes}
    return make_plan(
        reader,
        columns.schema,
        kind=options.writer,
        model=scorer.fingerprint,
        options={"on_error": "quarantine" if options.quarantine else "fail"},
        max_rows=options.predict_steps * wanted if options.predict_steps else None,
        previous=previous,
        **{name: value for name, value in targets.items() if value is not None},  # type: ignore[arg-type]
    )


def _chunking(scorer: Scorer, sample: pa.RecordBatch, previous: Plan | None) -> Chunking:
    """The chunk of the run that is resumed, so that its bytes come out again; else the fastest one."""
    held = previous.scoring_chunk if previous is not None and previous.model == scorer.fingerprint else None
    if isinstance(held, dict):
        return Chunking(int(held["rows"]), held["steps"])
    if not scorer.measures_chunks:
        return scorer.chunking
    scorer.warm_up()
    return choose_chunking(scorer, sample)


def _with_chunk(plan: Plan, chunking: Chunking) -> Plan:
    return replace(plan, scoring_chunk=asdict(chunking))


def in_flight_bytes(prepared: Prepared) -> int:
    """Most bytes of batches between reader and writer: enough for every stage to have one and each scorer two."""
    rows = max(prepared.sample.num_rows, 1)
    # A batch and the tensors that are parsed from it take about as much.
    batch = 2 * prepared.sample.nbytes * prepared.batch_rows // rows
    return max(IN_FLIGHT_BYTES * prepared.threads, batch * (prepared.threads + 2))


def make_work(
    prepared: Prepared,
    output: OutputFolder,
    options: PredictOptions,
    stop: StopFlag,
    share: Share | None = None,
) -> Work:
    """What the stages of a run share.

    Args:
        share: of a process that scores only some units, in place of all pending ones.
    """
    units = output.pending() if share is None else share.pending
    stages = {"read": 1, "parse": 1, "score": prepared.threads, "write": 1}
    quarantine = QuarantinePolicy(
        options.quarantine, options.max_bad_rows, output.totals.quarantined, share.count_bad if share else None
    )
    return Work(
        reader=prepared.reader,
        scorer=prepared.scorer,
        output=output,
        units=units if share is None else share.claimed,
        columns=prepared.read_columns,
        batch_rows=prepared.batch_rows,
        assemble=prepared.columns,
        quarantine=quarantine,
        in_flight=InFlight(in_flight_bytes(prepared), stop),
        progress=Progress(sum(unit.rows for unit in units), len(units), stages),
    )


def summarize(
    prepared: Prepared, work: Work, totals: Totals, seconds: float, start_seconds: float, output: OutputFolder
) -> PredictSummary:
    """What this process did."""
    stages = {
        clock.name: {
            "threads": clock.threads,
            "busy_seconds": clock.busy,
            "busy": clock.busy / (clock.threads * seconds) if seconds else 0.0,
        }
        for clock in work.progress.clocks.values()
    }
    return PredictSummary(
        rows_in=totals.rows_in,
        rows_out=totals.rows,
        quarantined=totals.quarantined,
        rows_scored=work.progress.rows,
        parts=totals.parts,
        seconds=seconds,
        start_seconds=start_seconds,
        first_batch_seconds=work.progress.first_batch_seconds,
        chunk=asdict(prepared.scorer.chunking),
        threads=prepared.threads,
        peak_memory_bytes=peak_memory_bytes(),
        peak_in_flight_bytes=work.in_flight.peak,
        already_complete=totals.already_complete,
        output=str(output.target),
        rows_not_finite=work.progress.not_finite,
        stages=stages,
    )
