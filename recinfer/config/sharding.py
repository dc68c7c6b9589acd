"""Ways to split embedding tables over ranks, and kernels that look them up, as torchrec calls them."""

from __future__ import annotations

DATA_PARALLEL, TABLE_WISE, ROW_WISE, COLUMN_WISE = "data_parallel", "table_wise", "row_wise", "column_wise"
_EVERYWHERE = (DATA_PARALLEL, TABLE_WISE, ROW_WISE, COLUMN_WISE)

# By device.
SHARDING_TYPES: dict[str, tuple[str, ...]] = {
    "cpu": _EVERYWHERE,
    "cuda": (*_EVERYWHERE, "table_row_wise", "table_column_wise", "grid_shard"),
}
DENSE, FUSED = "dense", "fused"
KERNELS: dict[str, tuple[str, ...]] = {
    "cpu": (DENSE, FUSED),
    "cuda": (DENSE, FUSED, "fused_uvm", "fused_uvm_caching"),
}
