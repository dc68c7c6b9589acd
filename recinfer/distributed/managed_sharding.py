"""Sharded zero-collision tables: split by rows, each rank with the ids of its rows."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torchrec.distributed.embedding import EmbeddingCollectionSharder
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.mc_embedding import (
    ManagedCollisionEmbeddingCollectionSharder,
    ShardedManagedCollisionEmbeddingCollection,
)
from torchrec.distributed.mc_embedding_modules import BaseShardedManagedCollisionEmbeddingCollection
from torchrec.distributed.mc_embeddingbag import (
    ManagedCollisionEmbeddingBagCollectionSharder,
    ShardedManagedCollisionEmbeddingBagCollection,
)
from torchrec.distributed.types import ModuleSharder, ParameterSharding, ShardingEnv
from torchrec.modules.mc_embedding_modules import (
    ManagedCollisionEmbeddingBagCollection,
    ManagedCollisionEmbeddingCollection,
)

ROW_WISE = "row_wise"


class _FreshRows(BaseShardedManagedCollisionEmbeddingCollection[Any]):
    """Rows that an id gives up start anew for the next one: weights, and the state of every optimizer.

    torchrec resets weights, but optimizer state of row-wise AdaGrad on GPUs only, and fails for it on CPU.
    """

    initial_state = 0.0

    def _evict(self, evictions_per_table: dict[str, torch.Tensor | None]) -> None:
        for table, rows in evictions_per_table.items():
            if rows is not None and rows.numel():
                self._restart(table, rows)

    @torch.no_grad()
    def _restart(self, table: str, rows: torch.Tensor) -> None:
        kernel, place = self._table_to_tbe_and_index[table]
        collection = self._embedding_module
        tables = collection.embedding_bags if self.bagged else collection.embeddings  # type: ignore[attr-defined]
        weight = tables.get_parameter(f"{table}.weight").data
        weight[rows] = collection._table_name_to_config[table].init_fn(weight[rows])  # type: ignore[index]
        states = kernel.split_optimizer_states()
        for state in states[int(place)] if states else ():
            state[rows] = self.initial_state


class _FreshBags(_FreshRows, ShardedManagedCollisionEmbeddingBagCollection):
    pass


class _FreshSequences(_FreshRows, ShardedManagedCollisionEmbeddingCollection):
    pass


class RowWiseBagSharder(EmbeddingBagCollectionSharder):
    """torchrec offers row-wise bags on GPUs only; they run on CPU as well."""

    def sharding_types(self, compute_device_type: str) -> list[str]:
        return list(dict.fromkeys([*super().sharding_types(compute_device_type), ROW_WISE]))


class ManagedBagSharder(ManagedCollisionEmbeddingBagCollectionSharder):
    """Shards pooled zero-collision tables.

    Args:
        fused_params: of the kernels that carry the optimizer.
        initial_state: value that accumulators start from.
    """

    def __init__(self, fused_params: dict[str, Any], initial_state: float) -> None:
        super().__init__(RowWiseBagSharder(fused_params))
        self.initial_state = initial_state

    def shard(
        self,
        module: ManagedCollisionEmbeddingBagCollection,
        params: dict[str, ParameterSharding],
        env: ShardingEnv,
        device: torch.device | None = None,
        module_fqn: str | None = None,
    ) -> ShardedManagedCollisionEmbeddingBagCollection:
        """The sharded collection."""
        assert device is not None
        made = _FreshBags(module, params, self._e_sharder, self._mc_sharder, env, device)  # type: ignore[arg-type]
        made.initial_state = self.initial_state
        return made


class ManagedSequenceSharder(ManagedCollisionEmbeddingCollectionSharder):
    """Shards zero-collision tables that are looked up id by id; arguments as for :class:`ManagedBagSharder`."""

    def __init__(self, fused_params: dict[str, Any], initial_state: float) -> None:
        super().__init__(EmbeddingCollectionSharder(fused_params))
        self.initial_state = initial_state

    def shard(
        self,
        module: ManagedCollisionEmbeddingCollection,
        params: dict[str, ParameterSharding],
        env: ShardingEnv,
        device: torch.device | None = None,
        module_fqn: str | None = None,
    ) -> ShardedManagedCollisionEmbeddingCollection:
        """The sharded collection."""
        assert device is not None
        made = _FreshSequences(module, params, self._e_sharder, self._mc_sharder, env, device)  # type: ignore[arg-type]
        made.initial_state = self.initial_state
        return made


def managed_sharders(fused_params: dict[str, Any], initial_state: float) -> list[ModuleSharder[nn.Module]]:
    """Sharders of zero-collision tables."""
    return [ManagedBagSharder(fused_params, initial_state), ManagedSequenceSharder(fused_params, initial_state)]  # type: ignore[list-item]
