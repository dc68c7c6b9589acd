"""Which rank holds which embedding table, and with which kernel."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torchrec.distributed.embedding import EmbeddingCollectionSharder
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.distributed.planner import EmbeddingShardingPlanner, ParameterConstraints, Topology
from torchrec.distributed.planner.storage_reservations import FixedPercentageStorageReservation
from torchrec.distributed.planner.types import PlannerError
from torchrec.distributed.types import EmbeddingModuleShardingPlan, ModuleSharder, ShardingPlan
from torchrec.modules.embedding_modules import EmbeddingBagCollection, EmbeddingCollection
from torchrec.optim.apply_optimizer_in_backward import apply_optimizer_in_backward

from recinfer.distributed.managed_sharding import ROW_WISE, managed_sharders, managed_table_names
from recinfer.errors import ConfigError
from recinfer.nn.pooled_embeddings import PooledEmbeddings

# The planner's own bound on host memory is a guess (128 GB). A table that does not fit fails when it is made, with
# the real figure, so the plan is given room.
HOST_MEMORY_BYTES = 1 << 50


def table_names(model: nn.Module) -> list[str]:
    """Names of all embedding tables in a model that is not sharded yet."""
    names: list[str] = []
    for module in model.modules():
        if isinstance(module, EmbeddingBagCollection):
            names += [config.name for config in module.embedding_bag_configs()]
        elif isinstance(module, EmbeddingCollection):
            names += [config.name for config in module.embedding_configs()]
    return names


def sharders(fused_params: dict[str, Any], initial_state: float = 0.0) -> list[ModuleSharder[nn.Module]]:
    """Sharders for bags and sequences whose tables carry their optimizer (fbgemm's ``fused_params``)."""
    plain = [EmbeddingBagCollectionSharder(fused_params), EmbeddingCollectionSharder(fused_params)]
    return [*managed_sharders(fused_params, initial_state), *plain]  # type: ignore[list-item]


def plan_tables(
    model: nn.Module, table_sharders: list[ModuleSharder[nn.Module]], group: dist.ProcessGroup, device: torch.device
) -> ShardingPlan:
    """Places each table whole on one rank (table-wise), so that bags and sequences both train through fused kernels.

    Zero-collision tables can be split by rows only.

    Raises:
        ConfigError: no plan exists.
    """
    managed = managed_table_names(model)
    constraints = {
        name: ParameterConstraints(
            sharding_types=[ROW_WISE if name in managed else "table_wise"], compute_kernels=["fused"]
        )
        for name in table_names(model)
    }
    with _quiet("torchrec.distributed.planner"):
        topology = Topology(group.size(), device.type, ddr_cap=HOST_MEMORY_BYTES)
        planner = EmbeddingShardingPlanner(
            topology=topology, constraints=constraints, storage_reservation=FixedPercentageStorageReservation(0.0)
        )
        try:
            return planner.collective_plan(model, table_sharders, group)
        except PlannerError as error:
            raise ConfigError(f"the embedding tables cannot be placed: {error}") from error


def shard(
    model: nn.Module,
    fused_params: dict[str, Any],
    group: dist.ProcessGroup,
    device: torch.device,
    initial_state: float = 0.0,
) -> DistributedModelParallel:
    """Replaces a model's embedding collections by sharded ones, in place, keeping the weights that it has.

    ``initial_state`` is what accumulators of rows that change hands start from.

    ``state_dict()`` of the result has the names and shapes of the plain model's.
    """
    before = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    _freeze_tables(model)
    table_sharders = sharders(fused_params, initial_state)
    plan = plan_tables(model, table_sharders, group, device)
    # One rank has nobody to average gradients with, and without that wrapper unused parameters are no error.
    sharded = DistributedModelParallel(
        model, device=device, plan=plan, sharders=table_sharders, init_data_parallel=group.size() > 1
    )
    for module in model.modules():
        if isinstance(module, PooledEmbeddings):
            module.forget_layout()
    for name, tensor in sharded.state_dict().items():
        local_part(tensor).copy_(before[name])
    return sharded


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


def local_part(tensor: Any) -> torch.Tensor:
    """The memory behind a state-dict entry on this rank: the only shard of a whole table, or the tensor itself."""
    shards = getattr(tensor, "local_shards", None)
    if shards is None:
        return tensor.detach()
    return shards()[0].tensor.detach()


def plan_json(plan: ShardingPlan) -> str:
    """The plan as JSON: module -> table -> ``sharding_type``, ``compute_kernel``, ``ranks``."""
    modules = {path: part for path, part in plan.plan.items() if isinstance(part, EmbeddingModuleShardingPlan)}
    return json.dumps(
        {
            path: {
                table: {"sharding_type": p.sharding_type, "compute_kernel": p.compute_kernel, "ranks": p.ranks}
                for table, p in part.items()
            }
            for path, part in modules.items()
        }
    )


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
