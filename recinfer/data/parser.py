"""Record batches to tensors: the flat dict that parsers make and exported models take."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import torch

from recinfer.errors import InputError

Tensors = dict[str, torch.Tensor]


class Column(Protocol):
    """What the parser asks of a feature."""

    name: str

    def parse(self, column: pa.Array | pa.ChunkedArray) -> dict[str, np.ndarray[Any, Any]]:
        """One column as named arrays."""

    def check_type(self, kind: pa.DataType) -> None:
        """Refuses a column type that can never parse."""

    def check_steps(self, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
        """Refuses what a model could not score."""


class Parser:
    """Turns a record batch into one flat ``dict[str, Tensor]``, one NumPy or Arrow call per column.

    Keys, for a feature ``f`` and a batch of B rows: sparse ``f.values`` int64 [sum], ``f.lengths`` int32 [B] and
    ``f.weights`` float32 [sum] where weighted; dense ``f.values`` float32 [B, dim]; sequences ``f.values``,
    ``f.lengths`` int32 [B] (steps), and ``f.key_lengths`` int32 [steps] where a step holds several ids.

    Args:
        features: the features to parse; each names its column.
        for_model: also refuse what parses but no model can score, such as two ids in a step of ``value_dim`` 1.
    """

    def __init__(self, features: Sequence[Column], *, for_model: bool = False) -> None:
        self.features = list(features)
        self.for_model = for_model

    @property
    def columns(self) -> list[str]:
        """The input columns, in the order of the features."""
        return [feature.name for feature in self.features]

    def check_schema(self, schema: pa.Schema) -> list[InputError]:
        """Everything in a schema that does not fit the features, without reading a row."""
        problems: list[InputError] = []
        for feature in self.features:
            if schema.get_field_index(feature.name) < 0:
                problems.append(missing_column(feature.name, schema.names))
                continue
            try:
                feature.check_type(schema.field(feature.name).type)
            except InputError as error:
                problems.append(error)
        return problems

    def __call__(self, batch: pa.RecordBatch | pa.Table) -> Tensors:
        """Parses a batch of B rows.

        Raises:
            InputError: a column is missing or has a type that cannot hold its feature.
            BadRowError: a value cannot be used; names column, value and row.
        """
        out: Tensors = {}
        for feature in self.features:
            if batch.schema.get_field_index(feature.name) < 0:
                raise missing_column(feature.name, batch.schema.names)
            arrays = feature.parse(batch.column(feature.name))
            if self.for_model:
                feature.check_steps(arrays)
            for key, array in arrays.items():
                out[key] = to_tensor(array)
        return out


def to_tensor(array: np.ndarray[Any, Any]) -> torch.Tensor:
    """A tensor over an array's memory; Arrow's read-only memory is copied, since torch cannot mark it so."""
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def missing_column(name: str, names: Sequence[str]) -> InputError:
    """The error for a column that the input does not have, with the nearest name that it has, or has several times."""
    count = list(names).count(name)
    if count > 1:
        return InputError(f"input has {count} columns called {name!r}", "rename or remove all but one of them")
    near = get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"the input has: {', '.join(names[:20])}"
    return InputError(f"input has no column {name!r}", hint)
