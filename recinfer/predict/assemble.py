"""The columns of the output: predictions, reserved input columns, and parsed features for debugging."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import pyarrow as pa

from recinfer.errors import UsageError
from recinfer.features.base import Feature
from recinfer.predict.debug_columns import debug_fields, debug_values
from recinfer.predict.flow import Item

ALL_COLUMNS = "ALL_COLUMNS"


class OutputColumns:
    """Chooses and assembles the output.

    Args:
        predictions: schema of what the scorer gives.
        source: schema of the input.
        output_columns: predictions to keep; None for all.
        reserved: input columns to carry over, or ``["ALL_COLUMNS"]``.
        debug_features: features whose parsed values go beside the scores.

    Raises:
        UsageError: a name is unknown, or would stand twice in the output.
    """

    def __init__(
        self,
        predictions: pa.Schema,
        source: pa.Schema,
        output_columns: Sequence[str] | None = None,
        reserved: Sequence[str] = (),
        debug_features: Sequence[Feature] = (),
    ) -> None:
        self.predictions = list(output_columns) if output_columns else predictions.names
        self.reserved = source.names if list(reserved) == [ALL_COLUMNS] else list(dict.fromkeys(reserved))
        self.debug_features = list(debug_features)
        _known(self.predictions, predictions.names, "--output_columns", "the model predicts")
        _known(self.reserved, source.names, "--reserved_columns", "the input has")
        fields = [predictions.field(name) for name in self.predictions] + [source.field(name) for name in self.reserved]
        fields += debug_fields(self.debug_features)
        names = [field.name for field in fields]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UsageError(
                f"the output would hold {', '.join(twice)} twice: as prediction and as reserved column",
                "leave it out of --reserved_columns, or choose --output_columns",
            )
        self.schema = pa.schema([pa.field(field.name, field.type) for field in fields])

    def __call__(self, item: Item, predictions: pa.RecordBatch) -> pa.RecordBatch:
        """The output rows of a scored batch."""
        assert item.batch is not None and item.tensors is not None
        columns = [predictions.column(name) for name in self.predictions]
        rows = item.batch if item.kept is None else item.batch.take(pa.array(item.kept))
        columns += [rows.column(name) for name in self.reserved]
        columns += debug_values(self.debug_features, item.tensors)
        return pa.record_batch(columns, schema=self.schema)


def _known(names: Sequence[str], known: Sequence[str], flag: str, what: str) -> None:
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"{what} {', '.join(known)}"
            raise UsageError(f"{flag}: there is no {name!r}", hint)
