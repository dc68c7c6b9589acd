"""Replaces a model's embedding collections by sharded ones: each rank holds its part of the tables."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torchrec.distributed.embedding import EmbeddingCollectionSharder
from torchrec.distributed.model_parallel import DefaultDataParallelWrapper, DistributedModelParallel
from torchrec.distributed.planner import EmbeddingShardingPlanner, Topology
from torchrec.distributed.planner.storage_reservations import FixedPercentageStorageReservation
from torchrec.distributed.planner.types import PlannerError
from torchrec.distributed.types import ModuleSharder, ShardingEnv, ShardingPlan
from torchrec.modules.embedding_modules import EmbeddingBagCollection, EmbeddingCollection
from torchrec.optim.apply_optimizer_in_backward import apply_optimizer_in_backward

from recinfer.distributed.constraints import World, plan_constraints
from recinfer.distributed.managed_sharding import RowWiseBagSharder, managed_sharders
from recinfer.distributed.shards import copy_parts, local_parts
from recinfer.errors import ConfigError
from recinfer.nn.initial_rows import initial_rows
from recinfer.nn.model_tables import PlacedTable, table_of_weight, tables_of
from recinfer.nn.pooled_embeddings import PooledEmbeddings

# The planner's own bound on host memory is a guess (128 GB). A table that does not fit fails when it is made, with
# the real figure, so the plan is given room.
HOST_MEMORY_BYTES = 1 << 50


def shard(
    model: nn.Module,
    fused_params: dict[str, Any],
    group: dist.ProcessGroup,
    device: torch.device,
    initial_state: float = 0.0,
    *,
    general: Any | None = None,
    seed: int | None = None,
) -> DistributedModelParallel:
    """Replaces a model's embedding collections by sharded ones, in place.

    Tables that have weights keep them. Those without memory (``tables_without_memory``) get their first ones, each rank
    its part: the same for a seed on any number of ranks. Without a seed they hold anything, for a checkpoint to fill.

    Args:
        model: as built from a config.
        fused_params: fbgemm's, for tables that carry their optimizer.
        group: whose ranks share the tables.
        device: of this rank.
        initial_state: what accumulators of rows that change hands start from.
        general: a ``ParameterConstraints`` message for tables whose features say nothing, or None.
        seed: of the first weights, or None.

    Returns:
        The model behind torchrec's wrapper. ``state_dict()`` has the names and shapes of the plain model's.

    Raises:
        ConfigError: no plan exists.
    """
    # Tables without memory are made where they are to be.
    model._apply(lambda tensor: tensor if tensor.device.type == "meta" else tensor.to(device))
    tables = tables_of(model)
    before = {name: tensor.detach() for name, tensor in model.state_dict().items() if tensor.device.type != "meta"}
    _freeze_tables(model)
    plain = [RowWiseBagSharder(fused_params), EmbeddingCollectionSharder(fused_params)]
    sharders: list[ModuleSharder[nn.Module]] = [*managed_sharders(fused_params, initial_state), *plain]  # type: ignore[list-item]
    plan = _plan(model, tables, sharders, group, device, general)
    sharded = DistributedModelParallel(
        model,
        env=ShardingEnv.from_process_group(group),
        device=device,
        plan=plan,
        sharders=sharders,
        # One rank has nobody to average gradients with, and without that wrapper unused parameters are no error.
        init_data_parallel=group.size() > 1,
        data_parallel_wrapper=DefaultDataParallelWrapper(static_graph=False, find_unused_parameters=True),
    )
    for module in model.modules():
        if isinstance(module, PooledEmbeddings):
            module.forget_layout()
    _fill(sharded, before, tables, seed)
    return sharded


def _plan(
    model: nn.Module,
    tables: list[PlacedTable],
    sharders: list[ModuleSharder[nn.Module]],
    group: dist.ProcessGroup,
    device: torch.device,
    general: Any | None,
) -> ShardingPlan:
    """The same on all ranks: rank 0 makes it.

    Raises:
        ConfigError: no plan exists.
    """
    constraints = plan_constraints(tables, World(group.size(), device.type), general)
    with _quiet("torchrec.distributed.planner"):
        topology = Topology(group.size(), device.type, hbm_cap=_device_memory(device), ddr_cap=HOST_MEMORY_BYTES)
        planner = EmbeddingShardingPlanner(
            topology=topology, constraints=constraints, storage_reservation=FixedPercentageStorageReservation(0.0)
        )
        try:
            return planner.collective_plan(model, sharders, group)
        except PlannerError as error:
            raise ConfigError(
                f"the embedding tables cannot be placed: {error}", "allow other sharding_types, or use more ranks"
            ) from error


def _device_memory(device: torch.device) -> int | None:
    return torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else None


@torch.no_grad()
def _fill(sharded: nn.Module, before: dict[str, torch.Tensor], tables: list[PlacedTable], seed: int | None) -> None:
    """Gives every parameter the value that it had, or its first one."""
    for name, tensor in sharded.state_dict().items():
        if name in before:
            copy_parts(tensor, before[name])
        if name in before or seed is None:
            continue
        placed = table_of_weight(name, tables)
        assert placed is not None, name
        for offsets, piece in local_parts(tensor):
            first, start = offsets
            rows = initial_rows(placed, seed, first, first + piece.shape[0])
            piece.copy_(rows[:, start : start + piece.shape[1]])


def _freeze_tables(model: nn.Module) -> None:
    """Gives tables that must not learn an optimizer of rate 0: fused kernels pay no heed to ``requires_grad``."""
    for module in model.modules():
        if isinstance(module, EmbeddingBagCollection | EmbeddingCollection):
            for weight in module.parameters():
                if not weight.requires_grad:
                    weight.requires_grad_(True)
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore", DeprecationWarning)
                        apply_optimizer_in_backward(torch.optim.SGD, [weight], {"lr": 0.0})


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
