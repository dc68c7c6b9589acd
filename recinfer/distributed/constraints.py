"""How each embedding table may be placed: what the config allows, less what cannot be done with that table."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torchrec.distributed.planner import ParameterConstraints

from recinfer.config.sharding import (
    COLUMN_WISE,
    DATA_PARALLEL,
    DENSE,
    FUSED,
    KERNELS,
    ROW_WISE,
    SHARDING_TYPES,
    TABLE_WISE,
)
from recinfer.nn.model_tables import PlacedTable

logger = logging.getLogger(__name__)

# fbgemm's kernels read rows four numbers at a time.
LEAST_COLUMNS = 4
WHOLE_ROWS = (TABLE_WISE, ROW_WISE)


@dataclass(frozen=True)
class World:
    """Where tables can lie.

    Attributes:
        ranks: how many processes there are.
        device: ``cpu`` or ``cuda``.
    """

    ranks: int
    device: str


def plan_constraints(
    tables: Sequence[PlacedTable], world: World, general: Any | None = None
) -> dict[str, ParameterConstraints]:
    """The planner's constraints, by table.

    Where the config says nothing, on CPU a table lies whole on one rank, or is split by rows if it is larger than an
    even share of all tables; on GPUs torchrec's planner chooses, since it knows their memory. What the config allows
    on other devices only is left out.

    Args:
        tables: of the model.
        world: where they can lie.
        general: ``train_config.global_embedding_constraints``; a feature's own ``embedding_constraints`` win.
    """
    share = sum(table.bytes for table in tables) / world.ranks
    found: dict[str, ParameterConstraints] = {}
    for placed in tables:
        wanted = placed.table.constraints or general
        types = _types(placed, world, wanted, large=placed.bytes > share)
        # Tables of one name in bags and in sequences are apart, but torchrec's planner knows them by name only.
        earlier = found.get(placed.table.name)
        if earlier is not None and earlier.sharding_types:
            before = earlier.sharding_types
            types = ([kind for kind in types if kind in before] or [TABLE_WISE]) if types else before
        found[placed.table.name] = ParameterConstraints(
            sharding_types=types or None,
            compute_kernels=_kernels(placed, world, wanted, types),
            min_partition=_column_width(placed.table.dim, world.ranks),
        )
    return found


def _types(placed: PlacedTable, world: World, wanted: Any | None, large: bool) -> list[str]:
    """Sharding types to choose from; empty for any."""
    if placed.table.zch is not None:
        return [ROW_WISE]
    named = list(wanted.sharding_types) if wanted is not None else []
    if placed.table.whole_rows:
        named = [kind for kind in named if kind in WHOLE_ROWS] or (list(WHOLE_ROWS) if world.device != "cpu" else [])
    asked = _available(named, SHARDING_TYPES[world.device], "sharding_types", placed, world)
    if world.ranks == 1:
        alike = set(asked) == {DATA_PARALLEL} and _fits(DATA_PARALLEL, placed, world)
        return [DATA_PARALLEL] if alike else [TABLE_WISE]
    if not asked and world.device != "cpu" and not placed.table.trainable:
        asked = [kind for kind in SHARDING_TYPES[world.device] if kind != "grid_shard"]
    if not asked:
        if world.device != "cpu":
            return []
        asked = [ROW_WISE] if large else [TABLE_WISE]
    possible = [kind for kind in asked if _fits(kind, placed, world)]
    if not possible:
        logger.info("table %s cannot be split as %s; it lies whole on one rank", placed.table.name, ", ".join(asked))
    return possible or [TABLE_WISE]


def _fits(kind: str, placed: PlacedTable, world: World) -> bool:
    """Whether a table can be split that way."""
    if kind == ROW_WISE:
        # A rank without rows of its last table makes fbgemm's CPU kernels read behind their list of sizes.
        block = -(-placed.table.rows // world.ranks)
        return block * (world.ranks - 1) < placed.table.rows
    if kind == COLUMN_WISE:
        return placed.table.dim >= 2 * LEAST_COLUMNS
    if kind == DATA_PARALLEL:
        # torchrec's kernel for CPUs pools all lookups; and only fused kernels leave a table as it is.
        return placed.table.trainable and not (world.device == "cpu" and placed.is_sequence)
    return True


def _kernels(placed: PlacedTable, world: World, wanted: Any | None, types: Sequence[str]) -> list[str]:
    named = list(wanted.compute_kernels) if wanted is not None else []
    asked = _available(named, KERNELS[world.device], "compute_kernels", placed, world)
    # Tables that every rank holds learn by the dense optimizer; torchrec has no other kernel for them, and that one for
    # no others.
    fused = [kernel for kernel in asked if kernel != DENSE] or [FUSED]
    if not types:
        return [DENSE, *fused]
    return ([DENSE] if DATA_PARALLEL in types else []) + (fused if set(types) != {DATA_PARALLEL} else [])


def _available(named: list[str], known: Sequence[str], field: str, placed: PlacedTable, world: World) -> list[str]:
    """Those that run here; says which do not."""
    left = [name for name in named if name not in known]
    if left:
        logger.warning(
            "%s of table %s does not run on %s and is left out: %s",
            field,
            placed.table.name,
            world.device,
            ", ".join(left),
        )
    return [name for name in named if name in known]


def _column_width(dim: int, ranks: int) -> int:
    """Columns of a part, so that there are as many parts as ranks where a table is wide enough."""
    return max(LEAST_COLUMNS, -(-dim // ranks // LEAST_COLUMNS) * LEAST_COLUMNS)
