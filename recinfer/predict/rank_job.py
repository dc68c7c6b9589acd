"""What rank 0 tells the others: where the plan lies and its hash, and how the input is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from recinfer.data.batch import Chunking
from recinfer.data.commit import OutputFolder
from recinfer.data.files import output_errors
from recinfer.data.inputs import InputFile, check_unchanged
from recinfer.data.layout import Layout
from recinfer.data.plan import Plan, load_plan, planned_table
from recinfer.data.readers import dataset_type_of, open_reader
from recinfer.data.readers.csv_options import from_data_config
from recinfer.data.storage import place_of, storage_of
from recinfer.data.units import Unit
from recinfer.errors import InputError, OutputError
from recinfer.predict.assemble import OutputColumns
from recinfer.predict.job import Prepared
from recinfer.predict.options import PredictOptions
from recinfer.predict.sample import first_rows
from recinfer.predict.scorer import Scorer
from recinfer.predict.threads import scorer_threads

# Of a long list of input files, each process looks at so many before it begins; at each of its units' later.
CHECKED_FILES = 16


@dataclass(frozen=True)
class JobCard:
    """A job, as it is announced.

    Attributes:
        root: where the parts grow.
        target: where the output is to be.
        units: how many there are to do.
        plan_sha256, pending_sha256: of the files that say which.
        dataset_type: how the input is read.
        input_spec: what the user named, for messages.
        batch_rows: rows per batch.
    """

    root: str
    target: str
    units: int
    plan_sha256: str = ""
    pending_sha256: str = ""
    dataset_type: str = ""
    input_spec: str = ""
    batch_rows: int = 0

    def to_text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> JobCard:
        return cls(**json.loads(text))


def announce(prepared: Prepared, output: OutputFolder) -> JobCard:
    """Writes the list of units to do beside the plan and describes both."""
    layout, pending = output.layout, output.pending()
    if not pending:
        return JobCard(str(layout.root), str(output.target), 0)
    with output_errors(output.target):
        output.storage.write_json(layout.pending, to_ranges([unit.index for unit in pending]))
        return JobCard(
            str(layout.root),
            str(output.target),
            len(pending),
            _sha256(output.storage.read(layout.plan)),
            _sha256(output.storage.read(layout.pending)),
            dataset_type_of(prepared.reader),
            prepared.reader.spec,
            prepared.batch_rows,
        )


def read_job(card: JobCard) -> tuple[Plan, list[Unit]]:
    """The plan that rank 0 made, and the units to do.

    Raises:
        OutputError: the files are not here, or not those that rank 0 wrote.
    """
    root = place_of(card.root)
    storage, layout = storage_of(root), Layout(root)
    for path, expected in ((layout.plan, card.plan_sha256), (layout.pending, card.pending_sha256)):
        try:
            found = _sha256(storage.read(path))
        except OSError as error:
            raise OutputError(
                f"cannot see {path}, which rank 0 has written: {error.strerror or error}",
                "give all processes one output folder that each of them can reach",
            ) from error
        if found != expected:
            raise OutputError(
                f"{path} is not what rank 0 has written: its SHA-256 differs",
                "give all processes the same output folder, not folders of the same name",
            )
    plan = load_plan(layout.plan)
    assert plan is not None
    indices = from_ranges(json.loads(storage.read(layout.pending)))
    return plan, [plan.units[index] for index in indices]


def prepare_by_plan(scorer: Scorer, card: JobCard, plan: Plan, options: PredictOptions, rank: int) -> Prepared:
    """Gets a process ready for a plan that another one made; lists and measures nothing.

    Raises:
        InputError: the input cannot be seen from here, or is not what the plan saw.
    """
    csv = from_data_config(scorer.data_config) if scorer.data_config is not None else None
    table = planned_table(plan)
    try:
        for file in _spread(table.files, CHECKED_FILES):
            check_unchanged(file)
        reader = open_reader(card.input_spec, card.dataset_type, csv, planned=table)
    except InputError as error:
        raise InputError(
            f"this process does not see the input as rank 0 does: {error.message}",
            "all machines must reach the same input files under the same paths",
        ) from error
    debug = scorer.features if options.debug else ()
    columns = OutputColumns(scorer.outputs, reader.schema, options.output_columns, options.reserved_columns, debug)
    if not columns.schema.remove_metadata().equals(plan.output_schema):
        raise OutputError("the plan's output has other columns than this process would write", "this is a bug")
    read_columns = list(dict.fromkeys([*scorer.parser.columns, *columns.reserved]))
    scorer.warm_up()
    scorer.chunking = Chunking(int(plan.scoring_chunk["rows"]), plan.scoring_chunk["steps"])
    # Each process tries another unit, so that not all of them read one.
    tried = replace(plan, units=[plan.units[rank % len(plan.units)]])
    sample = first_rows(reader, tried, read_columns, card.batch_rows, options.quarantine)
    threads = scorer_threads(options.predict_threads)
    return Prepared(reader, scorer, columns, plan, read_columns, card.batch_rows, threads, sample)


def to_ranges(indices: Sequence[int]) -> list[list[int]]:
    """Ascending numbers as ``[first, count]`` pairs: a job of a million units, most of them together, stays small."""
    ranges: list[list[int]] = []
    for index in indices:
        if ranges and ranges[-1][0] + ranges[-1][1] == index:
            ranges[-1][1] += 1
        else:
            ranges.append([index, 1])
    return ranges


def from_ranges(ranges: Sequence[Sequence[int]]) -> list[int]:
    """The numbers again."""
    return [index for first, count in ranges for index in range(first, first + count)]


def _spread(files: Sequence[InputFile], most: int) -> list[InputFile]:
    step = max(len(files) / most, 1.0)
    return [files[int(position * step)] for position in range(min(len(files), most))]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
