"""The table of ``make_criteo`` with a second label, for models with two tasks: some of the clicks are purchases.

Usage: python -m benchmarks.make_criteo_tasks --rows 1000000 OUTPUT_FOLDER
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks import make_criteo

SECOND_LABEL = "bought"
BOUGHT_SHARE = 0.2


def group(seed: int, index: int, rows: int, scale: int = 1) -> pa.Table:
    """The rows of one row group; arguments as in :func:`benchmarks.make_criteo.group`."""
    return _with_second_label(make_criteo.group(seed, index, rows, scale), seed, index)


def write(folder: Path, rows: int, seed: int = 0, scale: int = 1) -> Path:
    """Writes the table as zstd Parquet; does nothing where it is already there."""
    tables = (
        _with_second_label(table, seed, index) for index, table in enumerate(make_criteo.groups(rows, seed, scale))
    )
    return make_criteo.write_files(folder, tables, make_criteo.FILE_ROWS)


def _with_second_label(table: pa.Table, seed: int, index: int) -> pa.Table:
    # A stream of its own: the columns that are there already stay as they are.
    drawn = np.random.default_rng([seed, index, 1]).random(make_criteo.GROUP_ROWS)[: table.num_rows]
    bought = (table.column("label").to_numpy() > 0) & (drawn < BOUGHT_SHARE)
    return table.append_column(SECOND_LABEL, pa.array(bought.astype(np.int64)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(write(given.output, given.rows, given.seed))


if __name__ == "__main__":
    main()
