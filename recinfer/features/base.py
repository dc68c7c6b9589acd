"""What a feature is to the parser and to the embedding group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from recinfer.config.table_size import message_is_sparse
from recinfer.errors import BadRowError, ConfigError, InputError
from recinfer.features.columns.dense import parse_dense
from recinfer.features.columns.ragged import is_list, normalise, plain_type
from recinfer.features.columns.sequence import SequenceColumn, parse_dense_sequence, parse_sparse_sequence
from recinfer.features.columns.sparse import SparseColumn, check_range, parse_sparse, parse_weighted
from recinfer.features.table_size import table_size

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class SequenceSpec:
    """How a sequence feature is laid out.

    Attributes:
        name: of the group that the feature belongs to, None for a feature of its own.
        delimiter: between the steps of a string.
        length: longest sequence that feature generation makes; sequences that come encoded are taken as they are.
        key: of the group, ``side:name``; "" where nothing is said.
    """

    name: str | None
    delimiter: str
    length: int
    key: str = ""


class Feature:
    """A feature of the config: how its column parses, and which embedding it takes.

    One subclass per kind.

    Args:
        config: the kind's message (``IdFeature``, ``RawFeature``, ...).
        sequence: layout, or None for a feature that is no sequence.
        separator: between values inside an encoded string (``data_config.fg_encoded_multival_sep``).
        table_rows: rows of the embedding table where they are known from a checkpoint; else from the config.
    """

    def __init__(
        self, config: Any, sequence: SequenceSpec | None = None, separator: str = "\x03", table_rows: int | None = None
    ) -> None:
        self.config = config
        self.sequence = sequence
        self.separator = separator
        prefix = f"{sequence.name}__" if sequence and sequence.name else ""
        self.name: str = prefix + config.feature_name
        self._known_rows: int | None = table_rows
        if self.is_sparse and table_rows is None:
            self._known_rows = table_size(config, self.name, must=False)

    @property
    def is_sequence(self) -> bool:
        """Whether a row holds a list of steps."""
        return self.sequence is not None

    @property
    def is_sparse(self) -> bool:
        """Whether values are ids into an embedding table."""
        return message_is_sparse(self.config)

    @property
    def is_weighted(self) -> bool:
        """Whether each id carries a weight."""
        return bool(getattr(self.config, "weighted", False))

    @property
    def value_dim(self) -> int:
        """Values per row or step, 0 for any number; where nothing is said, 1 for dense features and sequences."""
        field = self.config.DESCRIPTOR.fields_by_name.get("value_dim")
        if field is not None and (self.config.HasField("value_dim") or field.has_default_value):
            given = int(self.config.value_dim)
        else:
            given = 1 if self.is_sequence else 0
        return given if self.is_sparse else max(given, 1)

    @property
    def has_known_size(self) -> bool:
        """Whether the config or a checkpoint says how many rows the table has."""
        return self._known_rows is not None

    @property
    def table_rows(self) -> int:
        """Rows of the embedding table.

        Raises:
            ConfigError: the config does not say.
        """
        if self._known_rows is None:
            self._known_rows = table_size(self.config, self.name, must=True)
        assert self._known_rows is not None
        return self._known_rows

    @property
    def embedding_dim(self) -> int:
        """Width of the embedding; 0 where a dense feature has none."""
        return int(self.config.embedding_dim)

    @property
    def embedding_name(self) -> str:
        """Name of the embedding table, which several features may share."""
        return self.config.embedding_name if self.config.embedding_name else f"{self.name}_emb"

    @property
    def pooling(self) -> str:
        """How the embeddings of several ids become one: ``sum`` or ``mean``."""
        return str(self.config.pooling).lower()

    @property
    def dense_embedding(self) -> Any | None:
        """The ``autodis`` or ``mlp`` message of a dense feature, or None."""
        if "dense_emb" not in self.config.DESCRIPTOR.oneofs_by_name:
            return None
        chosen = self.config.WhichOneof("dense_emb")
        return getattr(self.config, chosen) if chosen else None

    @property
    def zch(self) -> Any | None:
        """The ``ZeroCollisionHash`` message of ids that find their rows in training, or None; any int64 id is fine."""
        known = "zch" in self.config.DESCRIPTOR.fields_by_name
        return self.config.zch if known and self.config.HasField("zch") else None

    @property
    def output_dim(self) -> int:
        """Width of what the embedding group makes of the feature."""
        if self.is_sparse or self.dense_embedding is not None:
            if self.embedding_dim == 0:
                raise ConfigError(f"feature {self.name!r} has no embedding_dim", "set embedding_dim")
            return self.embedding_dim
        return self.value_dim

    @property
    def default(self) -> str:
        """What a row without a value gets; "" for nothing."""
        return str(self.config.fg_encoded_default_value)

    @property
    def arrow_type(self) -> pa.DataType:
        """The column type that suits the feature best; others parse as well, strings among them."""
        value = pa.int64() if self.is_sparse else pa.float32()
        if self.is_weighted:
            return pa.map_(pa.int64(), pa.float32())
        single = value if self.value_dim == 1 else pa.list_(value)
        return pa.list_(single) if self.is_sequence else single

    def check_type(self, kind: pa.DataType) -> None:
        """Refuses a column type that can never parse, before any row is read.

        Raises:
            InputError: names the column, its type and the types that fit.
        """
        self.parse(pa.array([], plain_type(kind)))
        inner = plain_type(kind)
        while is_list(inner):
            inner = inner.value_type
        if self.is_sparse and pa.types.is_floating(inner):
            raise InputError(f"column {self.name!r} holds {kind}, where ids are wanted", f"give {self.name!r} as int64")

    def parse(self, column: pa.Array | pa.ChunkedArray) -> Arrays:
        """One column of a batch as named arrays: ``<name>.values``, ``.lengths``, ``.weights``, ``.key_lengths``.

        Raises:
            BadRowError: a value cannot be used.
            InputError: the column has a type that cannot hold the feature.
        """
        try:
            array = normalise(column)
        except pa.ArrowInvalid as error:
            raise BadRowError(
                f"column {self.name!r} holds {column.type}, and a value of it is broken: {error}"
            ) from error
        try:
            return self._parse_sequence(array) if self.sequence else self._parse_plain(array)
        except pa.ArrowInvalid as error:
            raise InputError(f"column {self.name!r} holds {array.type}, which does not parse: {error}") from error

    def _parse_plain(self, array: pa.Array) -> Arrays:
        if not self.is_sparse:
            return {f"{self.name}.values": parse_dense(array, self.name, self.separator, self.default, self.value_dim)}
        read = parse_weighted if self.is_weighted else parse_sparse
        column = read(array, self.name, self.separator, self.default)
        self._check_range(column)
        out: Arrays = {f"{self.name}.values": column.values, f"{self.name}.lengths": column.lengths.astype(np.int32)}
        if column.weights is not None:
            out[f"{self.name}.weights"] = column.weights
        return out

    def _parse_sequence(self, array: pa.Array) -> Arrays:
        assert self.sequence is not None
        delimiter = self.sequence.delimiter
        if not self.is_sparse:
            dense = parse_dense_sequence(array, self.name, delimiter, self.separator, self.default, self.value_dim)
            return {f"{self.name}.values": dense.values, f"{self.name}.lengths": dense.lengths.astype(np.int32)}
        column = parse_sparse_sequence(array, self.name, delimiter, self.separator, self.default)
        assert column.key_lengths is not None
        self._check_range(_per_row(column))
        out = {f"{self.name}.values": column.values, f"{self.name}.lengths": column.lengths.astype(np.int32)}
        if self.value_dim != 1 or (column.key_lengths != 1).any():
            out[f"{self.name}.key_lengths"] = column.key_lengths.astype(np.int32)
        return out

    def check_steps(self, arrays: Arrays) -> None:
        """Refuses a step of several ids, or none, where a model takes one id per step.

        Raises:
            BadRowError: names the column and the row.
        """
        key_lengths = arrays.get(f"{self.name}.key_lengths")
        if key_lengths is None or self.value_dim != 1:
            return
        step = int(np.flatnonzero(key_lengths != 1)[0])
        row = int(np.searchsorted(np.cumsum(arrays[f"{self.name}.lengths"]), step, side="right"))
        raise BadRowError(
            f"column {self.name!r}: a step holds {int(key_lengths[step])} ids, where value_dim is 1",
            "set `value_dim: 0`, or give one id per step",
            row=row,
        )

    def _check_range(self, column: SparseColumn) -> None:
        if self._known_rows is not None and self.zch is None:
            check_range(column, self.name, self._known_rows)


def _per_row(column: SequenceColumn) -> SparseColumn:
    assert column.key_lengths is not None
    ends = np.concatenate([[0], np.cumsum(column.key_lengths)])
    rows = np.concatenate([[0], np.cumsum(column.lengths)])
    return SparseColumn(column.values, np.diff(ends[rows]))
