"""Lookups of user-side features once per user, whose results are repeated for the user's rows (``INPUT_TILE=3``).

Left to be looked up per row are tables that user-side and other features share among pooled lookups, so that no table
is held twice, and zero-collision tables.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence, Set

import torch
from torch import nn
from torchrec import EmbeddingBagCollection

from recinfer.features.base import Feature
from recinfer.nn import tiling
from recinfer.nn.lookups import Lookups
from recinfer.nn.pooled_embeddings import PooledEmbeddings, columns_of, layout_of
from recinfer.nn.sequence_embeddings import SequenceEmbeddings


def with_lookups_once(model: nn.Module, users: Set[str]) -> nn.Module:
    """A copy of a model, which shares its tensors, with lookups of user-side features once per user.

    Args:
        users: names of the user-side features.
    """
    shared = {id(tensor): tensor for tensor in [*model.parameters(), *model.buffers()]}
    made = copy.deepcopy(model, memo=dict(shared))  # type: ignore[arg-type]
    for module in list(made.modules()):
        for name, child in list(module.named_children()):
            if type(child) is PooledEmbeddings:
                module.set_submodule(name, PooledOnce(child, users))
            elif type(child) is SequenceEmbeddings:
                module.set_submodule(name, SequencesOnce(child, users))
    return made


class PooledOnce(PooledEmbeddings):
    """Pooled lookups with the user-side ones apart.

    Args:
        whole: whose place it takes, and whose modules it takes over.
        users: names of the user-side features.
    """

    def __init__(self, whole: PooledEmbeddings, users: Set[str]) -> None:
        self.__dict__.update(whole.__dict__)
        tables, features = self._apart(users)
        self._user_columns: dict[str, tuple[int, int]] | None = None
        self._user_inputs = self.inputs.only(features)
        if tables:
            bags = self.ebc
            self.user_ebc = _part(bags, tables)
            self.inputs = self.inputs.only(self.inputs.names.keys() - features)
            self.tables = [table for table in self.tables if table.name not in tables]
            del self.ebc
            if self.tables:
                self.ebc = _part(bags, {table.name for table in self.tables})

    def _apart(self, users: Set[str]) -> tuple[set[str], set[str]]:
        """Tables that only user-side features read, and the features that read only such tables."""
        readers = {table.name: set(table.features) for table in self.tables}
        features = {name for names in readers.values() for name in names} & users
        while True:
            tables = {table for table, names in readers.items() if names <= features}
            kept = {name for name in features if all(name not in readers[other] for other in readers.keys() - tables)}
            if kept == features:
                return tables, features
            features = kept

    def forget_layout(self) -> None:
        """Also that of the user-side collection."""
        super().forget_layout()
        self._user_columns = None

    def _pieces(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        pieces = super()._pieces(batch)
        names = self._user_inputs.names.values()
        if not names:
            return pieces
        keyed = self.user_ebc(self._user_inputs.of(tiling.once_per_user(batch, names)).keyed_jagged())
        if self._user_columns is None:
            self._user_columns = layout_of(keyed)
        looked_up = tiling.tile_rows(keyed.values().to(torch.float32), batch[tiling.COUNTS], batch[tiling.USERS])
        return {**pieces, **{key: columns_of(looked_up, columns) for key, columns in self._user_columns.items()}}


def _part(bags: EmbeddingBagCollection, names: Set[str]) -> EmbeddingBagCollection:
    """Some of a collection's tables, without copying them."""
    configs = [config for config in bags.embedding_bag_configs() if config.name in names]
    made = EmbeddingBagCollection(configs, bags.is_weighted(), torch.device("meta"))
    for name in names:
        made.embedding_bags[name].weight = bags.embedding_bags[name].weight
    return made


class SequencesOnce(SequenceEmbeddings):
    """Sequence lookups in which user-side features have one row per user, followed by empty rows.

    What is looked up once is also pooled, aligned and joined once, and then repeated.

    Args:
        whole: whose place it takes, and whose modules it takes over.
        users: names of the user-side features.
    """

    def __init__(self, whole: SequenceEmbeddings, users: Set[str]) -> None:
        self.__dict__.update(whole.__dict__)
        members = [feature for features in self.groups.values() for feature in features]
        self._users = {each.name for each in members if each.name in users and (not each.is_sparse or each.zch is None)}

    def _lookups(self, batch: dict[str, torch.Tensor], keys: Sequence[str], names: Sequence[str]) -> Lookups:
        return super()._lookups(tiling.once_per_user(batch, self._users), keys, names)

    def _id_lengths(self, batch: dict[str, torch.Tensor], name: str) -> torch.Tensor:
        lengths = super()._id_lengths(batch, name)
        return tiling.with_empty_rows(lengths, batch[tiling.USERS]) if name in self._users else lengths

    def _query(
        self, feature: Feature, looked_up: dict[str, torch.Tensor], batch: dict[str, torch.Tensor]
    ) -> torch.Tensor:
        if feature.name not in self._users:
            return super()._query(feature, looked_up, batch)
        query = super()._query(feature, looked_up, tiling.once_per_user(batch, self._users))
        return tiling.tile_rows(query, batch[tiling.COUNTS], batch[tiling.USERS])

    def _sequence(
        self, steps: Sequence[Feature], looked_up: dict[str, torch.Tensor], batch: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        counts, users = batch[tiling.COUNTS], batch[tiling.USERS]
        once = tiling.once_per_user(batch, self._users)
        if all(feature.name in self._users for feature in steps):
            values, lengths = super()._sequence(steps, looked_up, once)
            return tiling.tile_steps(values, lengths, counts, users), tiling.tile_rows(lengths, counts, users)
        tiled = {
            name: tiling.tile_steps(values, super(SequencesOnce, self)._id_lengths(once, name), counts, users)
            for name, values in looked_up.items()
            if name in self._users and name in {feature.name for feature in steps}
        }
        return super()._sequence(steps, {**looked_up, **tiled}, batch)
