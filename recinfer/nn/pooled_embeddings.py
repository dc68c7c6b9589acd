"""Pooled lookups of deep and wide groups, and the dense features beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

import torch
from torch import nn
from torchrec import KeyedTensor

from recinfer.errors import ConfigError
from recinfer.features.base import Feature
from recinfer.nn.dense_embedding import DenseEmbeddings
from recinfer.nn.lookups import BagInputs, TakeLookups, look_up_in
from recinfer.nn.managed_collision import look_up, managed_bags, managed_lookups
from recinfer.nn.table_collections import bag_collection
from recinfer.nn.tables import Table, TableSet

WIDE_SUFFIX = "_wide"


class PooledEmbeddings(nn.Module):
    """One embedding-bag collection for all groups, and one of zero-collision tables; each group gets its features side
    by side.

    Args:
        groups: features of each deep group.
        wide_groups: features of each wide group, whose tables are its own, named ``<table>_wide``.
        wide_dim: width of a wide table.
        wide_init_fn: initialiser of the wide tables.
        suffixes: of the tables' names, by group: groups of different suffixes do not share tables.
    """

    def __init__(
        self,
        groups: Mapping[str, Sequence[Feature]],
        wide_groups: Mapping[str, Sequence[Feature]],
        wide_dim: int = 4,
        wide_init_fn: str | None = None,
        suffixes: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        tables = TableSet()
        looked_up: dict[str, Feature] = {}
        dense: dict[str, Feature] = {}
        parts: dict[str, list[tuple[Feature, str | None]]] = {}
        for group, features in [*groups.items(), *wide_groups.items()]:
            wide = group in wide_groups
            parts[group] = []
            suffix = (WIDE_SUFFIX if wide else "") + table_suffix((suffixes or {}).get(group, ""))
            for feature in features:
                _check_member(feature, group, wide)
                if feature.is_sparse:
                    looked_up[feature.name] = feature
                    dim, init_fn = (wide_dim, wide_init_fn) if wide else (None, None)
                    table = tables.add(feature, dim=dim, suffix=suffix, init_fn=init_fn)
                    parts[group].append((feature, table))
                else:
                    dense[feature.name] = feature
                    parts[group].append((feature, None))
        keys = tables.keys()
        self._build_tables(list(tables.tables.values()), keys, looked_up)
        self._build_dense(dense)
        self.lookups = {key: lookup for lookup, key in keys.items()}
        self.group_keys = {
            group: [keys[(feature.name, table)] if table else f"dense:{feature.name}" for feature, table in members]
            for group, members in parts.items()
        }
        self.group_dims = {
            group: [wide_dim if group in wide_groups else feature.output_dim for feature, _ in members]
            for group, members in parts.items()
        }
        self.forget_layout()

    def _build_tables(
        self, tables: list[Table], keys: dict[tuple[str, str], str], features: Mapping[str, Feature]
    ) -> None:
        self.tables = [table for table in tables if table.zch is None]
        self.managed_tables = [table for table in tables if table.zch is not None]
        plain = {name: feature for name, feature in features.items() if feature.zch is None}
        self.inputs = BagInputs(plain, [name for table in self.tables for name in _mean_features(table)])
        self.weighted = self.inputs.weighted
        names = managed_lookups(self.managed_tables, keys)
        mean_keys = [keys[name, table.name] for table in self.managed_tables for name in _mean_features(table)]
        self.managed_inputs = BagInputs({key: features[name] for key, name in names.items()}, mean_keys)
        for inputs, held in ((self.inputs, self.tables), (self.managed_inputs, self.managed_tables)):
            for table in held:
                table.pooling = "sum" if inputs.weighted else table.pooling
        if self.tables:
            self.ebc = bag_collection(self.tables, weighted=self.weighted)
        if self.managed_tables:
            self.mc_ebc = managed_bags(self.managed_tables, keys, weighted=self.managed_inputs.weighted)

    def _build_dense(self, dense: Mapping[str, Feature]) -> None:
        embedded = [
            (f.name, f.dense_embedding, f.embedding_dim) for f in dense.values() if f.dense_embedding is not None
        ]
        self.embedded_names = [name for name, _, _ in embedded]
        self.dense_names = list(dense)
        if embedded:
            self.dense_ec = DenseEmbeddings(embedded)

    def forget_layout(self) -> None:
        """To be called when a collection is replaced: each kind orders its outputs differently."""
        self._columns: dict[str, tuple[int, int]] | None = None
        self._managed_columns: dict[str, tuple[int, int]] | None = None

    def collection_inputs(self) -> dict[str, TakeLookups]:
        """What each collection looks up in a batch, by the collection's path inside this module."""
        inputs: dict[str, TakeLookups] = {"ebc": self.inputs.of} if self.tables else {}
        return inputs | ({"mc_ebc": self.managed_inputs.of} if self.managed_tables else {})

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Each group's features side by side: [B, sum of the group's dims], by name; empty groups are left out."""
        pieces = self._pieces(batch)
        looked_up = self._plain(batch) if self.tables else torch.empty(0, 0)
        out: dict[str, torch.Tensor] = {}
        for group, keys in self.group_keys.items():
            if not keys:
                continue
            runs = merge_runs([(self._columns or {}).get(key, key) for key in keys])
            out[group] = _side_by_side(
                [pieces[run] if isinstance(run, str) else columns_of(looked_up, run) for run in runs]
            )
        return out

    def _pieces(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """What comes from elsewhere than ordinary tables, by key."""
        pieces = {f"dense:{name}": batch[f"{name}.values"] for name in self.dense_names}
        if self.embedded_names:
            embedded = self.dense_ec({name: batch[f"{name}.values"] for name in self.embedded_names})
            for name in self.embedded_names:
                pieces[f"dense:{name}"] = embedded[name]
        if self.managed_tables:
            pieces.update(self._managed(batch))
        return pieces

    def _plain(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """All lookups of ordinary tables side by side."""
        keyed = look_up_in(self.ebc, self.inputs.of(batch))
        if self._columns is None:
            self._columns = layout_of(keyed)
        looked_up: torch.Tensor = keyed.values().to(torch.float32)
        return looked_up

    def _managed(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Lookups of zero-collision tables by key. In training this counts ids, so it happens once a batch."""
        keyed = look_up(self.mc_ebc, self.managed_inputs.of(batch))
        if self._managed_columns is None:
            self._managed_columns = layout_of(keyed)
        looked_up = keyed.values().to(torch.float32)
        return {key: columns_of(looked_up, columns) for key, columns in self._managed_columns.items()}


def layout_of(keyed: KeyedTensor) -> dict[str, tuple[int, int]]:
    """Which columns of a collection's output hold which lookup."""
    widths = keyed.length_per_key()
    ends = list(accumulate(widths))
    return {key: (end - width, end) for key, width, end in zip(keyed.keys(), widths, ends, strict=True)}


def _mean_features(table: Table) -> list[str]:
    return table.features if table.pooling == "mean" else []


def columns_of(values: torch.Tensor, columns: tuple[int, int]) -> torch.Tensor:
    """Some columns of a tensor."""
    return values[:, columns[0] : columns[1]]


def merge_runs(places: Sequence[tuple[int, int] | str]) -> list[tuple[int, int] | str]:
    """Neighbouring columns that follow each other become one slice: fewer, larger copies."""
    runs: list[tuple[int, int] | str] = []
    for place in places:
        last = runs[-1] if runs else None
        if isinstance(place, tuple) and isinstance(last, tuple) and last[1] == place[0]:
            runs[-1] = (last[0], place[1])
        else:
            runs.append(place)
    return runs


def table_suffix(embedding_name_suffix: str) -> str:
    """What a group's ``embedding_name_suffix`` appends to the names of its tables."""
    return f"_{embedding_name_suffix}" if embedding_name_suffix else ""


def _side_by_side(pieces: Sequence[torch.Tensor]) -> torch.Tensor:
    return pieces[0] if len(pieces) == 1 else torch.cat(list(pieces), dim=1)


def _check_member(feature: Feature, group: str, wide: bool) -> None:
    if feature.is_sequence:
        raise ConfigError(
            f"feature group {group!r} holds the sequence feature {feature.name!r}",
            "put it into a SEQUENCE group, or into sequence_groups with an encoder",
        )
    if wide and not feature.is_sparse:
        raise ConfigError(
            f"wide feature group {group!r} holds the dense feature {feature.name!r}",
            "give it boundaries, or put it into a deep group",
        )
