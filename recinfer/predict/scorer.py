"""A model as one callable: tables in, predictions out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from recinfer.data.batch import BatchSlicer, Chunking, cut_points, steps_per_row
from recinfer.data.parser import Parser, Tensors
from recinfer.features.base import Feature
from recinfer.features.example import example_batch
from recinfer.predict.predictions import to_arrow

# Chunks of about this size stay in the cache; `predict/chunk_choice.py` measures better ones for a run.
DEFAULT_ROWS = 1024
DEFAULT_STEPS = 1500


class Scorer(ABC):
    """Scores tables in chunks that stay in the cache.

    Attributes:
        features: what the model reads.
        data_config: how input is read, as the model's config says.
        parser: turns record batches into the model's tensors.
        inputs: schema of the columns that the model reads; other types parse too.
        outputs: schema of the predictions.
        chunking: where a batch is cut.
        fingerprint: of the model's parameters; equal models give equal fingerprints.
        measures_chunks: whether the best chunks are found by trying some.
    """

    measures_chunks = True

    def __init__(self, features: Sequence[Feature], fingerprint: str, data_config: Any) -> None:
        self.data_config = data_config
        self.features = list(features)
        self.fingerprint = fingerprint
        self.parser = Parser(self.features, for_model=True)
        self.inputs = pa.schema([(feature.name, feature.arrow_type) for feature in self.features])
        self.sequences = [feature.name for feature in self.features if feature.is_sequence]
        self.chunking = Chunking(DEFAULT_ROWS, DEFAULT_STEPS if self.sequences else None)
        self.outputs = self._learn_outputs()

    @abstractmethod
    def run(self, tensors: Tensors) -> Tensors:
        """Scores one chunk; safe to call from several threads at once.

        Args:
            tensors: as the parser makes them, B rows.

        Returns:
            One tensor per prediction, first dimension B.
        """

    def score(self, table: pa.Table | pa.RecordBatch) -> pa.Table:
        """Scores a table in input order.

        Args:
            table: holds at least the columns of ``inputs``.

        Returns:
            One row per row of the input, one column per prediction.

        Raises:
            InputError: a column is missing or has the wrong type.
            BadRowError: a value cannot be used.
        """
        return pa.Table.from_batches([self.score_tensors(self.parser(table), table.num_rows)], self.outputs)

    def score_tensors(self, tensors: Tensors, rows: int, positions: np.ndarray | None = None) -> pa.RecordBatch:
        """Scores a parsed batch chunk by chunk.

        Args:
            rows: of the batch.
            positions: of the rows, counted from where the unit is cut; by default 0 to ``rows``.
        """
        with torch.inference_mode():
            return to_arrow([self.run(chunk) for chunk in self.cut(tensors, rows, positions)], self.outputs)

    def cut(self, tensors: Tensors, rows: int, positions: np.ndarray | None = None) -> Iterator[Tensors]:
        """The chunks of a parsed batch; arguments as for :meth:`score_tensors`."""
        points = cut_points(self.chunking, rows if positions is None else positions, self.row_steps(tensors))
        slicer = BatchSlicer(tensors)
        for first, last in points:
            yield tensors if last - first == rows else slicer(first, last)

    def row_steps(self, tensors: Tensors) -> np.ndarray | None:
        """Sequence steps of each row, [B]; None for models without sequences."""
        return steps_per_row(tensors, self.sequences) if self.sequences else None

    def warm_up(self, rows: int = 2) -> None:
        """Runs the first, slow calls, in which TorchScript specialises the graph."""
        batch = example_batch(self.features, rows)
        with torch.inference_mode():
            for _ in range(3):
                self.run(batch)

    def _learn_outputs(self) -> pa.Schema:
        with torch.inference_mode():
            predictions = self.run(example_batch(self.features, 2))
        fields = []
        for name, tensor in predictions.items():
            kind: pa.DataType = pa.float32() if tensor.is_floating_point() else pa.int64()
            for _ in range(tensor.dim() - 1):
                kind = pa.list_(kind)
            fields.append(pa.field(name, kind))
        return pa.schema(fields)
