"""Makes a Taobao-like table: candidates to rank per user, each beside the user's history of up to 100 steps.

Usage: python -m benchmarks.make_sequences --rows 200000 OUTPUT_FOLDER
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.make_criteo import write_files, zipf_ids

# Ids that describe a candidate and, under `hist_<name>`, each step of the history; and their vocabularies.
ITEM_COLUMNS = {"item": 1_000_000, "category": 10_000, "brand": 200_000}
USER_COLUMNS = {"user": 1_000_000, "segment": 100, "age": 8, "gender": 3, "city": 400}
DENSE_COLUMNS = 4

ROWS_PER_USER = 20
LONGEST = 100

# Exponential lengths, cut at 100, are 37 on average with this scale.
LENGTH_SCALE = 40.5

GROUP_USERS = 3_277
GROUP_ROWS = GROUP_USERS * ROWS_PER_USER
FILE_ROWS = 8 * GROUP_ROWS


def vocabularies(columns: dict[str, int], scale: int = 1) -> dict[str, int]:
    """Rows of the tables of some columns."""
    return {name: max(size // scale, 3) for name, size in columns.items()}


def group(seed: int, index: int, rows: int, scale: int = 1) -> pa.Table:
    """The rows of one row group; arguments as in :func:`benchmarks.make_criteo.group`."""
    rng = np.random.default_rng([seed, index])
    owner = np.repeat(np.arange(GROUP_USERS), ROWS_PER_USER)
    lengths = np.minimum(rng.exponential(LENGTH_SCALE, GROUP_USERS).astype(np.int64) + 1, LONGEST)
    columns: dict[str, pa.Array] = {
        "row_id": pa.array(index * GROUP_ROWS + np.arange(GROUP_ROWS)),
        "label": pa.array((rng.random(GROUP_ROWS) < 0.05).astype(np.int64)),
    }
    for number in range(DENSE_COLUMNS):
        columns[f"dense_{number}"] = pa.array(rng.standard_normal(GROUP_ROWS, dtype=np.float32))
    for name, vocabulary in vocabularies(USER_COLUMNS, scale).items():
        columns[name] = pa.array(zipf_ids(rng, GROUP_USERS, vocabulary)[owner])
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    for name, vocabulary in vocabularies(ITEM_COLUMNS, scale).items():
        columns[name] = pa.array(zipf_ids(rng, GROUP_ROWS, vocabulary))
        history = pa.ListArray.from_arrays(offsets, pa.array(zipf_ids(rng, int(lengths.sum()), vocabulary)))
        columns[f"hist_{name}"] = history.take(pa.array(owner))
    return pa.table(columns).slice(0, rows)


def groups(rows: int, seed: int, scale: int = 1) -> Iterator[pa.Table]:
    """The whole table, group by group."""
    for index in range((rows + GROUP_ROWS - 1) // GROUP_ROWS):
        yield group(seed, index, min(GROUP_ROWS, rows - index * GROUP_ROWS), scale)


def write(folder: Path, rows: int, seed: int = 0, scale: int = 1) -> Path:
    """Writes the table as zstd Parquet; does nothing where it is already there."""
    return write_files(folder, groups(rows, seed, scale), FILE_ROWS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(write(given.output, given.rows, given.seed))


if __name__ == "__main__":
    main()
