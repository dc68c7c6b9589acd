"""Embedding tables of a set of features: shared tables are declared once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torchrec.modules.embedding_configs import DataType, EmbeddingBagConfig, EmbeddingConfig, PoolingType

from recinfer.errors import ConfigError
from recinfer.features.base import Feature
from recinfer.nn.init_fn import build_init_fn

POOLING = {"sum": PoolingType.SUM, "mean": PoolingType.MEAN}
DATA_TYPES = {"FP32": DataType.FP32, "FP16": DataType.FP16}


@dataclass
class Table:
    """One embedding table and the features that look into it.

    Attributes:
        name: as in ``state_dict``.
        rows, dim: its shape.
        pooling: ``sum`` or ``mean``.
        data_type: ``FP32`` or ``FP16``.
        trainable: False for a table that training leaves as it is.
        init_fn: fills the new table in place, or None for the default.
        zch: the ``ZeroCollisionHash`` message of a table whose ids find their rows in training, or None.
        whole_rows: its rows must be neither copied nor split by columns, since they start anew when their id changes.
        constraints: the ``ParameterConstraints`` message on how ranks may share it, or None.
        features: names, in order of first use.
    """

    name: str
    rows: int
    dim: int
    pooling: str
    data_type: str
    trainable: bool
    init_fn: Callable[[torch.Tensor], Any] | None
    zch: Any | None = None
    constraints: Any | None = None
    whole_rows: bool = False
    features: list[str] = field(default_factory=list)

    def bag_config(self, keys: Sequence[str] = ()) -> EmbeddingBagConfig:
        """For a pooled table; ``keys`` in place of the names of its features."""
        return EmbeddingBagConfig(
            name=self.name,
            num_embeddings=self.rows,
            embedding_dim=self.dim,
            feature_names=list(keys) or self.features,
            pooling=POOLING[self.pooling],
            data_type=DATA_TYPES[self.data_type],
            init_fn=self.init_fn,
        )

    def sequence_config(self, keys: Sequence[str] = ()) -> EmbeddingConfig:
        """For a table that is looked up id by id; ``keys`` in place of the names of its features."""
        return EmbeddingConfig(
            name=self.name,
            num_embeddings=self.rows,
            embedding_dim=self.dim,
            feature_names=list(keys) or self.features,
            data_type=DATA_TYPES[self.data_type],
            init_fn=self.init_fn,
        )


class TableSet:
    """Collects tables feature by feature and holds sharers to one shape."""

    def __init__(self) -> None:
        self.tables: dict[str, Table] = {}

    def add(self, feature: Feature, *, dim: int | None = None, suffix: str = "", init_fn: str | None = None) -> str:
        """Adds a feature's lookup and returns its table's name.

        Args:
            dim: width in place of the feature's own, for wide groups.
            suffix: appended to the table's name, for wide groups.
            init_fn: initialiser in place of the feature's own.

        Raises:
            ConfigError: features that share a table disagree, or ask for something unknown.
        """
        made = Table(
            name=feature.embedding_name + suffix,
            rows=feature.table_rows,
            dim=dim or feature.output_dim,
            pooling=_choice(feature.pooling, POOLING, "pooling", feature),
            data_type=_choice(feature.config.data_type, DATA_TYPES, "data_type", feature),
            trainable=bool(feature.config.trainable),
            init_fn=build_init_fn(init_fn or feature.config.init_fn, feature.name),
            zch=feature.zch,
            constraints=feature.config.embedding_constraints if _is_constrained(feature) else None,
        )
        held = self.tables.setdefault(made.name, made)
        # One word on how ranks share it is enough.
        held.constraints = held.constraints or made.constraints
        made.constraints = made.constraints or held.constraints
        for what in ("rows", "dim", "pooling", "data_type", "trainable", "zch", "constraints"):
            if getattr(held, what) != getattr(made, what):
                raise ConfigError(
                    f"features {held.features[0]!r} and {feature.name!r} share the table {made.name!r}, "
                    f"but differ in {what}: {getattr(held, what)} and {getattr(made, what)}",
                    "make them equal, or give them different embedding_name",
                )
        if feature.name not in held.features:
            held.features.append(feature.name)
        return made.name

    def keys(self) -> dict[tuple[str, str], str]:
        """The name of each lookup's output, by (feature, table): ``feature@table`` where a feature has several."""
        uses: dict[str, int] = {}
        for table in self.tables.values():
            for name in table.features:
                uses[name] = uses.get(name, 0) + 1
        return {
            (name, table.name): f"{name}@{table.name}" if uses[name] > 1 else name
            for table in self.tables.values()
            for name in table.features
        }


def _is_constrained(feature: Feature) -> bool:
    return bool(feature.config.HasField("embedding_constraints"))


def _choice(given: str, known: dict[str, Any], field_name: str, feature: Feature) -> str:
    if given not in known:
        raise ConfigError(
            f"`{field_name}: {given!r}` is not supported: feature {feature.name!r}", f"use one of {', '.join(known)}"
        )
    return given
