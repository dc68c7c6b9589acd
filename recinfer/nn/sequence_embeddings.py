"""Lookups of sequence groups: a query per row, and its steps without padding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from recinfer.errors import ConfigError
from recinfer.features.base import Feature
from recinfer.nn import jagged
from recinfer.nn.lookups import Lookups, TakeLookups, look_up_in
from recinfer.nn.managed_collision import look_up, managed_lookups, managed_sequences
from recinfer.nn.pooled_embeddings import table_suffix
from recinfer.nn.table_collections import sequence_collection
from recinfer.nn.tables import TableSet


class SequenceEmbeddings(nn.Module):
    """One embedding collection per width for all sequence groups, and one per width of zero-collision tables.

    Tables are apart from those of :class:`~recinfer.nn.pooled_embeddings.PooledEmbeddings`, also where names agree.

    Args:
        groups: features of each group: those that are no sequences make the query, the others the steps.
        suffixes: of the tables' names, by group: groups of different suffixes do not share tables.
    """

    def __init__(self, groups: Mapping[str, Sequence[Feature]], suffixes: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.groups = {name: list(features) for name, features in groups.items()}
        sets: dict[int, TableSet] = {}
        zero_collision: dict[int, TableSet] = {}
        tables_of: dict[tuple[str, str], str] = {}
        self._names: dict[int, list[str]] = {}
        for group, features in self.groups.items():
            suffix = table_suffix((suffixes or {}).get(group, ""))
            for feature in features:
                _check_member(feature, group)
                if not feature.is_sparse:
                    continue
                dim = feature.output_dim
                chosen = sets if feature.zch is None else zero_collision
                tables_of[group, feature.name] = chosen.setdefault(dim, TableSet()).add(feature, suffix=suffix)
                if feature.zch is None and feature.name not in self._names.setdefault(dim, []):
                    self._names[dim].append(feature.name)
        every = [*sets.values(), *zero_collision.values()]
        keys = {use: key for tables in every for use, key in tables.keys().items()}
        self._keys = {(group, name): keys[name, table] for (group, name), table in tables_of.items()}
        self._looked_up = {dim: list(tables.keys().values()) for dim, tables in sets.items()}
        self.tables = [table for tables in every for table in tables.tables.values()]
        self.ec_dict = nn.ModuleDict(
            {str(dim): sequence_collection(list(tables.tables.values())) for dim, tables in sets.items()}
        )
        self.mc_ec_dict = nn.ModuleDict()
        self._managed: dict[int, dict[str, str]] = {}
        for dim, tables in zero_collision.items():
            held = list(tables.tables.values())
            self.mc_ec_dict[str(dim)] = managed_sequences(held, tables.keys())
            self._managed[dim] = managed_lookups(held, tables.keys())

    def query_dim(self, group: str) -> int:
        """Width of a group's query."""
        return sum(feature.output_dim for feature in self.groups[group] if not feature.is_sequence)

    def step_dim(self, group: str) -> int:
        """Width of a group's steps."""
        return sum(feature.output_dim for feature in self.groups[group] if feature.is_sequence)

    def collection_inputs(self) -> dict[str, TakeLookups]:
        """What each collection looks up in a batch, by the collection's path inside this module."""

        def take(keys: Sequence[str], names: Sequence[str]) -> TakeLookups:
            return lambda batch: self._lookups(batch, keys, names)

        plain = {f"ec_dict.{dim}": take(names, names) for dim, names in self._names.items()}
        managed = {f"mc_ec_dict.{dim}": take(list(held), list(held.values())) for dim, held in self._managed.items()}
        return plain | managed

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Per group ``<group>.query`` [B, query_dim], ``.sequence`` [steps, step_dim] and ``.sequence_length`` [B]."""
        looked_up = self._look_up(batch)
        out: dict[str, torch.Tensor] = {}
        for group, features in self.groups.items():
            found = {f.name: looked_up[self._keys[group, f.name]] for f in features if f.is_sparse}
            query = [self._query(feature, found, batch) for feature in features if not feature.is_sequence]
            if query:
                out[f"{group}.query"] = torch.cat(query, dim=1)
            steps = [feature for feature in features if feature.is_sequence]
            if steps:
                out[f"{group}.sequence"], out[f"{group}.sequence_length"] = self._sequence(steps, found, batch)
        return out

    def _look_up(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The embedding of every id: [sum, dim] per sparse feature and table."""
        out: dict[str, torch.Tensor] = {}
        inputs = self.collection_inputs()
        for dim, keys in self._looked_up.items():
            found = look_up_in(self.ec_dict[str(dim)], inputs[f"ec_dict.{dim}"](batch))
            out.update({key: found[key].values().to(torch.float32) for key in keys})
        for dim, lookups in self._managed.items():
            found = look_up(self.mc_ec_dict[str(dim)], inputs[f"mc_ec_dict.{dim}"](batch))
            out.update({key: found[key].values().to(torch.float32) for key in lookups})
        return out

    def _lookups(self, batch: dict[str, torch.Tensor], keys: Sequence[str], names: Sequence[str]) -> Lookups:
        return Lookups(keys, [batch[f"{name}.values"] for name in names], [self._id_lengths(batch, n) for n in names])

    def _id_lengths(self, batch: dict[str, torch.Tensor], name: str) -> torch.Tensor:
        """Ids per row, [B]; the sums over steps where a step holds several."""
        if not self._is_multi(name):
            return batch[f"{name}.lengths"]
        return jagged.ids_per_row(batch[f"{name}.key_lengths"], batch[f"{name}.lengths"])

    def _is_multi(self, name: str) -> bool:
        return any(f.name == name and f.is_sequence and f.value_dim != 1 for fs in self.groups.values() for f in fs)

    def _query(
        self, feature: Feature, looked_up: dict[str, torch.Tensor], batch: dict[str, torch.Tensor]
    ) -> torch.Tensor:
        if not feature.is_sparse:
            return batch[f"{feature.name}.values"]
        values, lengths = looked_up[feature.name], batch[f"{feature.name}.lengths"]
        if feature.value_dim == 1:
            return jagged.first_step(values, lengths)
        return jagged.pool_steps(values, lengths, feature.pooling == "mean")

    def _sequence(
        self, steps: Sequence[Feature], looked_up: dict[str, torch.Tensor], batch: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The steps of a group, and how many each row has."""
        # All features of a group describe the same steps; the first one says how many there are.
        lengths = batch[f"{steps[0].name}.lengths"]
        parts = [self._steps(feature, looked_up, batch, lengths) for feature in steps]
        return torch.cat(parts, dim=1), lengths

    def _steps(
        self,
        feature: Feature,
        looked_up: dict[str, torch.Tensor],
        batch: dict[str, torch.Tensor],
        lengths: torch.Tensor,
    ) -> torch.Tensor:
        values = looked_up[feature.name] if feature.is_sparse else batch[f"{feature.name}.values"]
        if feature.is_sparse and feature.value_dim != 1:
            values = jagged.pool_steps(values, batch[f"{feature.name}.key_lengths"], feature.pooling == "mean")
        return jagged.align_steps(values, batch[f"{feature.name}.lengths"], lengths)


def _check_member(feature: Feature, group: str) -> None:
    if feature.dense_embedding is not None and not feature.is_sparse:
        raise ConfigError(
            f"sequence group {group!r} holds feature {feature.name!r}, a dense one with an embedding of its own",
            "give it boundaries, or name it in deep groups only",
        )
