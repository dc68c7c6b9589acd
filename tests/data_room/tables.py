"""Small tables and files for the tests of the data room."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def mixed_table(rows: int, seed: int = 0) -> pa.Table:
    """A table with every kind of column that a recommender's log has; row k has id k."""
    random = np.random.default_rng(seed)
    ids = np.arange(rows)
    return pa.table(
        {
            "id": pa.array(ids),
            "code": pa.array([f"{k:05d}" if k % 7 else None for k in ids.tolist()], pa.string()),
            "score": pa.array(random.random(rows).astype(np.float32)),
            "price": pa.array(random.random(rows), mask=random.random(rows) < 0.2),
            "history": pa.array([list(range(k % 4)) if k % 5 else None for k in ids.tolist()], pa.list_(pa.int64())),
        }
    )


def write_parquet(path: Path, table: pa.Table, group_rows: int = 1000) -> Path:
    """Writes a Parquet file with row groups of ``group_rows`` rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=group_rows)
    return path


def read_parts(folder: Path) -> pa.Table:
    """All Parquet parts of an output folder, in the order of their names."""
    return pa.concat_tables([pq.read_table(path) for path in sorted(folder.glob("part-*.parquet"))])
