"""``recinfer predict --dry-run``: the plan, and one scored batch."""

from __future__ import annotations

import resource
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pyarrow as pa

from recinfer.cli.output import count, duration, print_json, print_pairs, size, table
from recinfer.data.bad_rows import BadRow, parse_good_rows
from recinfer.data.claim import previous_plan
from recinfer.data.files import input_errors
from recinfer.data.layout import Layout
from recinfer.data.plan_difference import plan_differences
from recinfer.data.storage import place_of, storage_of
from recinfer.predict.flow import Item
from recinfer.predict.job import in_flight_bytes
from recinfer.predict.memory import peak_memory_bytes

if TYPE_CHECKING:
    from recinfer.predict.job import PredictOptions, Prepared

SHOWN_ROWS = 5


def show_plan(prepared: Prepared, output: str | None, options: PredictOptions, as_json: bool) -> None:
    """Prints what a run would do, scores the first rows, and writes nothing.

    Raises:
        BadRowError: one of the rows cannot be used, and bad rows are not put aside.
    """
    facts = _facts(prepared, output, options)
    if not as_json:
        _print_facts(prepared, facts)
    start = time.perf_counter()
    rows, bad = _score_sample(prepared, options)
    seconds = time.perf_counter() - start
    shown = rows.slice(0, SHOWN_ROWS)
    if as_json:
        sample = {"rows": rows.num_rows, "bad_rows": [asdict(row) for row in bad], "first": shown.to_pylist()}
        print_json({**facts, "sample": sample})
        return
    click.echo(f"scored {count(rows.num_rows, 'row')} in {duration(seconds)}; the first {shown.num_rows}:")
    click.echo(table(rows.schema.names, [list(row.values()) for row in shown.to_pylist()]))
    for each in bad[:SHOWN_ROWS]:
        click.echo(f"  would be quarantined: row {each.row} of the first batch: {each.reason}")
    click.echo("dry run: nothing was written")


def _facts(prepared: Prepared, output: str | None, options: PredictOptions) -> dict[str, Any]:
    plan = prepared.plan
    resident, in_flight = _resident_bytes(), _in_flight_bytes(prepared)
    return {
        "dry_run": True,
        "rows": plan.rows,
        "units": len(plan.units),
        "files": len(prepared.reader.files),
        "input_bytes": sum(file.size for file in prepared.reader.files),
        "output": output,
        "output_state": _output_state(prepared, output, options) if output else None,
        "output_schema": {field.name: str(field.type) for field in prepared.columns.schema},
        "writer": plan.kind,
        "batch_rows": prepared.batch_rows,
        "chunk": asdict(prepared.scorer.chunking),
        "threads": prepared.threads,
        "memory_estimate_bytes": resident + in_flight,
        "resident_bytes": resident,
        "in_flight_bytes": in_flight,
    }


def _print_facts(prepared: Prepared, facts: dict[str, Any]) -> None:
    steps = facts["chunk"]["steps"]
    schema = "\n".join(f"{name}: {kind}" for name, kind in facts["output_schema"].items())
    print_pairs(
        [
            ("input", f"{prepared.reader.spec}: {count(facts['files'], 'file')}, {size(facts['input_bytes'])}"),
            ("plan", f"{count(facts['rows'], 'row')} in {count(facts['units'], 'unit')}, one part file each"),
            ("output", f"{facts['output']}: {facts['output_state']}" if facts["output"] else "not named"),
            ("columns", schema),
            ("writer", facts["writer"]),
            (
                "scorer",
                f"{count(facts['threads'], 'thread')}, chunks of {count(facts['chunk']['rows'], 'row')}"
                + (f" or {count(steps, 'step')}" if steps else "")
                + f", batches of {count(facts['batch_rows'], 'row')}",
            ),
            (
                "memory",
                f"about {size(facts['memory_estimate_bytes'])} at most: {size(facts['resident_bytes'])} with the model "
                f"loaded, and up to {size(facts['in_flight_bytes'])} of rows on their way",
            ),
        ],
        indent="",
    )


def _score_sample(prepared: Prepared, options: PredictOptions) -> tuple[pa.Table, list[BadRow]]:
    """The output rows of the first batch, as a run would write them, and the rows that do not parse."""
    sample, scorer = prepared.sample, prepared.scorer
    item = Item(prepared.plan.units[0], 0, 0, sample)
    if options.quarantine:
        parsed = parse_good_rows(scorer.parser, sample)
        item.tensors, item.kept, item.bad = parsed.tensors, parsed.kept, parsed.bad
    else:
        item.tensors = scorer.parser(sample)
    predictions = scorer.score_tensors(item.tensors, sample.num_rows - len(item.bad), item.kept)
    return pa.Table.from_batches([prepared.columns(item, predictions)]), item.bad


def _output_state(prepared: Prepared, output: str, options: PredictOptions) -> str:
    previous = previous_plan(output)
    place = place_of(output)
    with input_errors(output):
        storage = storage_of(place)
        exists, finished = storage.exists(place), storage.exists(Layout(place).success)
    if options.overwrite and exists:
        return "exists, and would be replaced when the new output is complete"
    if previous is None:
        return "would be made"
    differences = plan_differences(previous, prepared.plan)
    if differences:
        return "holds the output of another job, so a run would be refused:\n" + "\n".join(differences)
    return "complete already" if finished else "begun, and would be continued"


def _in_flight_bytes(prepared: Prepared) -> int:
    """What rows on their way take at most: batches as read up to the limit, and as much again parsed and decoded."""
    row = prepared.sample.nbytes / max(prepared.sample.num_rows, 1)
    return int(2 * min(in_flight_bytes(prepared), prepared.plan.rows * row))


def _resident_bytes() -> int:
    """Memory of the process now; the largest so far where the system does not tell."""
    statm = Path("/proc/self/statm")
    if statm.is_file():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return peak_memory_bytes()
