"""The first rows of the input, to measure with and to try the model on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from recinfer.data.bad_rows import parse_good_rows
from recinfer.data.parser import Parser
from recinfer.data.plan import Plan
from recinfer.data.readers.base import Reader
from recinfer.data.units import Unit
from recinfer.errors import BadRowError, InputError
from recinfer.predict.flow import Item


def first_rows(reader: Reader, plan: Plan, columns: Sequence[str], rows: int, lenient: bool) -> pa.RecordBatch:
    """Up to ``rows`` rows of the first unit.

    Args:
        lenient: leave out rows that cannot be read.

    Raises:
        InputError: the input has no rows.
        BadRowError: a row cannot be read.
    """
    if not plan.units:
        raise InputError(f"the input {reader.spec} has no rows", "check that the step before has written them")
    ignore: Callable[..., None] | None = (lambda row: None) if lenient else None
    for batch in reader.read(plan.units[0], columns, rows, on_bad_row=ignore):
        return batch
    return pa.RecordBatch.from_pylist([], schema=pa.schema([reader.schema.field(name) for name in columns]))


def usable_rows(parser: Parser, sample: pa.RecordBatch, unit: Unit, lenient: bool) -> pa.RecordBatch:
    """The rows of a sample that parse.

    Args:
        unit: where the sample comes from.
        lenient: leave out rows that do not parse.

    Raises:
        BadRowError: a row does not parse.
    """
    if lenient:
        kept = parse_good_rows(parser, sample).kept
        return sample if kept is None else sample.take(pa.array(kept))
    try:
        parser(sample)
    except BadRowError as error:
        found = Item(unit, 0, 0, sample).with_row(error)
        raise BadRowError(f"{found.message} ({unit.path})", found.hint, found.row) from error
    return sample
