"""Pooled lookups of deep and wide groups, and the dense features beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torchrec import EmbeddingBagCollection, KeyedJaggedTensor

from recinfer.errors import ConfigError
from recinfer.features.base import Feature
from recinfer.nn.dense_embedding import DenseEmbeddings
from recinfer.nn.tables import TableSet

WIDE_SUFFIX = "_wide"


class PooledEmbeddings(nn.Module):
    """One embedding-bag collection for all groups; each group gets its features side by side.

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
        self.tables = list(tables.tables.values())
        self.sparse_names = list(looked_up)
        self.weighted = any(feature.is_weighted for feature in looked_up.values())
        self.weighted_names = [name for name, feature in looked_up.items() if feature.is_weighted]
        self.mean_names = self._mean_names() if self.weighted else []
        self._build_modules(dense)
        keys = tables.keys()
        self.lookups = {key: lookup for lookup, key in keys.items()}
        self.group_keys = {
            group: [keys[(feature.name, table)] if table else f"dense:{feature.name}" for feature, table in members]
            for group, members in parts.items()
        }
        self.group_dims = {
            group: [wide_dim if group in wide_groups else feature.output_dim for feature, _ in members]
            for group, members in parts.items()
        }
        self._columns: dict[str, tuple[int, int]] | None = None

    def _mean_names(self) -> list[str]:
        """Features of mean-pooled tables. Weighted bags can only be summed; there a mean is a sum of 1/length."""
        names = [name for table in self.tables if table.pooling == "mean" for name in table.features]
        for table in self.tables:
            table.pooling = "sum"
        return names

    def _build_modules(self, dense: Mapping[str, Feature]) -> None:
        if self.tables:
            self.ebc = EmbeddingBagCollection(
                tables=[table.bag_config() for table in self.tables], is_weighted=self.weighted
            )
            for table in self.tables:
                self.ebc.embedding_bags[table.name].weight.requires_grad_(table.trainable)
        embedded = [
            (f.name, f.dense_embedding, f.embedding_dim) for f in dense.values() if f.dense_embedding is not None
        ]
        self.embedded_names = [name for name, _, _ in embedded]
        self.dense_names = list(dense)
        if embedded:
            self.dense_ec = DenseEmbeddings(embedded)

    def learn_layout(self, batch: dict[str, torch.Tensor]) -> None:
        """Notes which columns of the collection's output hold which lookup.

        The collections (plain, quantized, sharded) order their outputs differently, and say how only on a real batch.
        """
        keyed = self.ebc(self._keyed_jagged(batch))
        ends = torch.tensor(keyed.length_per_key()).cumsum(0).tolist()
        self._columns = {
            key: (end - width, end) for key, width, end in zip(keyed.keys(), keyed.length_per_key(), ends, strict=True)
        }

    def forget_layout(self) -> None:
        """To be called when ``ebc`` is replaced."""
        self._columns = None

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Each group's features side by side: [B, sum of the group's dims], by name; empty groups are left out."""
        pieces: dict[str, torch.Tensor] = {f"dense:{name}": batch[f"{name}.values"] for name in self.dense_names}
        if self.embedded_names:
            embedded = self.dense_ec({name: batch[f"{name}.values"] for name in self.embedded_names})
            for name in self.embedded_names:
                pieces[f"dense:{name}"] = embedded[name]
        if not self.tables:
            return {
                group: _side_by_side([pieces[key] for key in keys]) for group, keys in self.group_keys.items() if keys
            }
        if self._columns is None:
            self.learn_layout(batch)
        assert self._columns is not None
        looked_up = self.ebc(self._keyed_jagged(batch)).values().to(torch.float32)
        out: dict[str, torch.Tensor] = {}
        for group, keys in self.group_keys.items():
            if not keys:
                continue
            runs = merge_runs([self._columns.get(key, key) for key in keys])
            out[group] = _side_by_side(
                [pieces[run] if isinstance(run, str) else looked_up[:, run[0] : run[1]] for run in runs]
            )
        return out

    def _keyed_jagged(self, batch: dict[str, torch.Tensor]) -> KeyedJaggedTensor:
        names = self.sparse_names
        values = torch.cat([batch[f"{name}.values"] for name in names])
        lengths = torch.cat([batch[f"{name}.lengths"] for name in names])
        weights = torch.cat([self._weights(batch, name) for name in names]) if self.weighted else None
        return KeyedJaggedTensor(keys=names, values=values, lengths=lengths, weights=weights)

    def _weights(self, batch: dict[str, torch.Tensor], name: str) -> torch.Tensor:
        values = batch[f"{name}.values"]
        given = (
            batch[f"{name}.weights"] if name in self.weighted_names else torch.ones_like(values, dtype=torch.float32)
        )
        if name not in self.mean_names:
            return given
        lengths = batch[f"{name}.lengths"]
        return given / torch.repeat_interleave(lengths, lengths).to(torch.float32)


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
