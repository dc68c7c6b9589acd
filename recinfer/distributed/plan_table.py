"""A sharding plan, as people read it and as checkpoints keep it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from torch import nn
from torchrec.distributed.types import EmbeddingModuleShardingPlan, ParameterSharding, ShardingPlan

from recinfer.nn.model_tables import tables_of


@dataclass(frozen=True)
class PlanRow:
    """Where one table lies.

    Attributes:
        table: its name.
        lookup: ``pooled`` or ``sequence``.
        rows, dim: its shape.
        sharding: torchrec's name of how it is split.
        kernel: ``fused`` where it learns in the backward pass, ``dense`` where it learns as other parameters do.
        bytes: of weights, by rank; ranks without a part are left out.
    """

    table: str
    lookup: str
    rows: int
    dim: int
    sharding: str
    kernel: str
    bytes: dict[int, int]


def plan_rows(plan: ShardingPlan, model: nn.Module, ranks: int) -> list[PlanRow]:
    """One row for each table, in the order of the model.

    Args:
        plan: of a sharded model.
        model: that model; its tables say how wide a number is.
        ranks: of the job.
    """
    return list(_rows(plan, model, ranks))


def _rows(plan: ShardingPlan, model: nn.Module, ranks: int) -> Iterator[PlanRow]:
    places = dict(_places(plan))
    for placed in tables_of(model):
        table = placed.table
        place = places[table.name, placed.is_sequence]
        width = placed.bytes // (table.rows * table.dim)
        parts = {rank: size * width for rank, size in _sizes(place, table.rows * table.dim, ranks).items()}
        lookup = "sequence" if placed.is_sequence else "pooled"
        yield PlanRow(table.name, lookup, table.rows, table.dim, place.sharding_type, place.compute_kernel, parts)


def _places(plan: ShardingPlan) -> Iterator[tuple[tuple[str, bool], ParameterSharding]]:
    for path, part in plan.plan.items():
        if isinstance(part, EmbeddingModuleShardingPlan):
            for table, place in part.items():
                yield (table, "ec_dict" in path.split(".") or "mc_ec_dict" in path.split(".")), place


def _sizes(place: ParameterSharding, whole: int, ranks: int) -> dict[int, int]:
    """Numbers of a table by rank."""
    shards = getattr(place.sharding_spec, "shards", None)
    if shards is None:
        return dict.fromkeys(range(ranks), whole)
    found: dict[int, int] = {}
    for shard in shards:
        rank = shard.placement.rank()
        found[rank] = found.get(rank, 0) + prod(shard.shard_sizes)
    return found


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
