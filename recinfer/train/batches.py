"""Training batches: rows of a reader, shuffled, cut to one size, parsed ahead of the loop."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from recinfer.data.parser import Parser, Tensors
from recinfer.data.readers.base import Reader
from recinfer.errors import BadRowError, ConfigError
from recinfer.models.base import Task
from recinfer.train.label_columns import GroupCodes, check_labels, check_number_columns, numbers
from recinfer.train.prefetch import prefetch
from recinfer.train.row_places import FIELD, RowPlaces
from recinfer.train.row_shuffle import emit_in_order, emit_shuffled
from recinfer.train.share import Share
from recinfer.train.task_columns import grouping_columns, label_columns

READ_ROWS = 8192
PREFETCHED = 4


@dataclass(frozen=True)
class Batch:
    """Parsed rows with what the losses and metrics need.

    Attributes:
        features: what the parser made, as a model takes it.
        labels: label column -> int64 or float32, [B].
        weights: sample weight column -> float32, [B].
        groups: grouping column -> int64 codes, equal where the column's values are equal, [B].
        rows: B.
    """

    features: Tensors
    labels: Tensors
    weights: Tensors
    groups: Tensors
    rows: int

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        if device.type == "cpu":
            return self
        moved = [
            {key: tensor.to(device, non_blocking=True) for key, tensor in part.items()}
            for part in (self.features, self.labels, self.weights, self.groups)
        ]
        return Batch(moved[0], moved[1], moved[2], moved[3], self.rows)


@dataclass(frozen=True)
class BatchOptions:
    """What batches look like.

    Attributes:
        batch_size: rows of each batch, across unit borders.
        labels: label columns, all numeric.
        weights: sample weight columns, all numeric.
        groups: columns that grouped metrics group by.
        shuffle_rows: rows that are shuffled among each other, 0 for input order.
        drop_remainder: leave out the last batch of an epoch if it is short.
        evaluation: every row is needed, and batches without rows are no harm.
    """

    batch_size: int
    labels: tuple[str, ...]
    weights: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    shuffle_rows: int = 0
    drop_remainder: bool = False
    evaluation: bool = False


def training_options(data_config: Any, groups: Sequence[str] = ()) -> BatchOptions:
    """Batches to learn from, as a ``DataConfig`` message says; ``shuffle_buffer_size`` counts batches."""
    size = _positive(data_config.batch_size, "data_config.batch_size")
    buffered = data_config.shuffle_buffer_size * size if data_config.shuffle else 0
    return BatchOptions(
        size,
        tuple(data_config.label_fields),
        tuple(data_config.sample_weight_fields),
        tuple(groups),
        buffered,
        data_config.drop_remainder,
    )


def evaluation_options(data_config: Any, groups: Sequence[str] = ()) -> BatchOptions:
    """Batches to measure on: every row once, in input order, ``eval_batch_size`` at a time where it is set."""
    size = data_config.eval_batch_size if data_config.HasField("eval_batch_size") else data_config.batch_size
    return BatchOptions(
        _positive(size, "data_config.eval_batch_size"),
        tuple(data_config.label_fields),
        tuple(data_config.sample_weight_fields),
        tuple(groups),
        evaluation=True,
    )


class BatchSource:
    """Batches of a table, epoch by epoch, the same ones each time for a seed and an epoch.

    Args:
        reader: where rows come from.
        parser: makes the features.
        options: size, labels, shuffling.
        seed: of the shuffling.
        rank, ranks: which part of the table to read, of how many; all ranks take equally many batches.

    Raises:
        InputError: a column is missing, or a label or weight column does not hold numbers.
    """

    def __init__(
        self, reader: Reader, parser: Parser, options: BatchOptions, seed: int = 0, rank: int = 0, ranks: int = 1
    ) -> None:
        self.reader, self.parser, self.options, self.seed = reader, parser, options, seed
        numeric = [*options.labels, *options.weights]
        self.columns = list(dict.fromkeys([*parser.columns, *numeric, *options.groups]))
        for problem in parser.check_schema(reader.schema):
            raise problem
        reader.check_columns(self.columns)
        check_number_columns(reader.schema, numeric)
        self.units = reader.units()
        self.places = RowPlaces(self.units)
        rows = sum(unit.rows for unit in self.units)
        self.share = Share(rank, ranks, rows, options.batch_size, options.drop_remainder, options.evaluation)

    def reading(self, tasks: Sequence[Task]) -> BatchSource:
        """The same batches with every label and grouping column that tasks name, itself if they are all there.

        Raises:
            InputError: a column is missing, or a label column does not hold numbers.
        """
        labels = tuple(dict.fromkeys([*self.options.labels, *label_columns(tasks)]))
        groups = tuple(dict.fromkeys([*self.options.groups, *grouping_columns(tasks)]))
        options = replace(self.options, labels=labels, groups=groups)
        if options == self.options:
            return self
        return BatchSource(self.reader, self.parser, options, self.seed, self.share.rank, self.share.ranks)

    def first(self, batches: int | None) -> BatchSource:
        """The same, of so many batches' rows from the input's beginning, for all ranks together; None for all rows."""
        made = copy.copy(self)
        if batches is not None:
            made.share = replace(self.share, total=min(self.share.total, batches * self.options.batch_size))
        return made

    @property
    def batches_per_epoch(self) -> int:
        """Batches of one pass over this rank's part of the table, the same on all ranks."""
        return self.share.steps

    def epoch(self, epoch: int = 0, skip: int = 0) -> Iterator[Batch]:
        """One pass over the table; close the iterator to stop its thread early.

        Args:
            epoch: number of the pass, which decides the order if rows are shuffled.
            skip: batches at the start to leave out, unparsed.

        Raises:
            BadRowError: a label or weight is null, or a value does not parse.
            InputError: the input cannot be read.
        """
        return prefetch(self._parsed(epoch, skip), PREFETCHED, "training batches")

    def _parsed(self, epoch: int, skip: int) -> Iterator[Batch]:
        codes = GroupCodes()
        for position, table in enumerate(self._tables(epoch)):
            if position >= skip:
                yield self._parse(table, codes)

    def _tables(self, epoch: int) -> Iterator[pa.RecordBatch]:
        size = self.options.batch_size
        fields = [self.reader.schema.field(name) for name in self.columns]
        empty = pa.RecordBatch.from_pylist([], pa.schema([*fields, FIELD]))
        if not self.options.shuffle_rows:
            return self.share.cut(emit_in_order(self._read(range(len(self.units))), size), empty)
        generator = np.random.default_rng([self.seed, epoch])
        # All ranks agree on the order of units; rows are then shuffled by each for itself.
        rows = self._read(generator.permutation(len(self.units)))
        if self.share.ranks > 1:
            generator = np.random.default_rng([self.seed, epoch, self.share.rank])
        return self.share.cut(emit_shuffled(rows, size, self.options.shuffle_rows, generator), empty)

    def _read(self, order: Sequence[int] | np.ndarray[Any, Any]) -> Iterator[pa.RecordBatch]:
        numeric = [*self.options.labels, *self.options.weights]
        for unit, first, last in self.share.of(self.units, order):
            row = 0
            for batch in self.reader.read(unit, self.columns, READ_ROWS):
                begin, end = max(first - row, 0), min(last - row, batch.num_rows)
                if begin < end:
                    part = batch.slice(begin, end - begin)
                    check_labels(part, numeric, unit.path, unit.first_row + row + begin)
                    yield self.places.number(part, unit, row + begin)
                row += batch.num_rows
                if row >= last:
                    break

    def _parse(self, table: pa.RecordBatch, codes: GroupCodes) -> Batch:
        options = self.options
        try:
            features = self.parser(table)
        except BadRowError as error:
            raise self.places.located(error, table) from error
        return Batch(
            features=features,
            labels={name: numbers(table.column(name)) for name in options.labels},
            weights={name: numbers(table.column(name)).to(torch.float32) for name in options.weights},
            groups={name: codes(name, table.column(name)) for name in options.groups},
            rows=table.num_rows,
        )


def _positive(value: int, where: str) -> int:
    if value < 1:
        raise ConfigError(f"{where} must be at least 1")
    return int(value)
