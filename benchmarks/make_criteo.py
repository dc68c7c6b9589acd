"""Makes a Criteo-like table: a label, 13 dense columns, 26 id columns whose ids follow Zipf's law.

Usage: python -m benchmarks.make_criteo --rows 1000000 OUTPUT_FOLDER
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

DENSE_COLUMNS = 13

# Distinct ids of Criteo's 26 columns, cut at a million.
VOCABULARIES = (
    1_460, 583, 1_000_000, 1_000_000, 305, 24, 12_517, 633, 3, 93_145, 5_683, 1_000_000, 3_194, 27, 14_992, 1_000_000,
    10, 5_652, 2_173, 4, 1_000_000, 18, 15, 286_181, 105, 142_572,
)  # fmt: skip

# A stream of its own per group of rows, so that a longer table begins with the rows of a shorter one.
GROUP_ROWS = 65_536
FILE_ROWS = 16 * GROUP_ROWS

# Coprime to every vocabulary: it spreads the common ids over the table, as hashing does.
SPREAD = 2_654_435_761


def zipf_ids(rng: np.random.Generator, rows: int, vocabulary: int) -> npt.NDArray[np.int64]:
    """Ids whose ranks follow Zipf's law with exponent 1, int64 [rows], below ``vocabulary``."""
    ranks = ((vocabulary + 1.0) ** rng.random(rows)).astype(np.int64) - 1
    return np.minimum(ranks, vocabulary - 1) * SPREAD % vocabulary


def group(seed: int, index: int, rows: int, scale: int = 1) -> pa.Table:
    """The rows of one row group.

    Args:
        seed, index: which group of which table.
        rows: at most ``GROUP_ROWS``; fewer give the first of them.
        scale: divides the vocabularies, for small tests.
    """
    rng = np.random.default_rng([seed, index])
    columns: dict[str, pa.Array] = {
        "row_id": pa.array(index * GROUP_ROWS + np.arange(rows)),
        "label": pa.array((rng.random(GROUP_ROWS)[:rows] < 0.25).astype(np.int64)),
    }
    for number in range(DENSE_COLUMNS):
        values = np.log1p(rng.lognormal(1.0, 1.5, GROUP_ROWS)[:rows]).astype(np.float32)
        columns[f"dense_{number}"] = pa.array(values)
    for number, vocabulary in enumerate(vocabularies(scale)):
        columns[f"cat_{number}"] = pa.array(zipf_ids(rng, GROUP_ROWS, vocabulary)[:rows])
    return pa.table(columns)


def vocabularies(scale: int = 1) -> list[int]:
    """Rows of the 26 tables."""
    return [max(size // scale, 3) for size in VOCABULARIES]


def groups(rows: int, seed: int, scale: int = 1) -> Iterator[pa.Table]:
    """The whole table, group by group."""
    for index in range((rows + GROUP_ROWS - 1) // GROUP_ROWS):
        yield group(seed, index, min(GROUP_ROWS, rows - index * GROUP_ROWS), scale)


def write(folder: Path, rows: int, seed: int = 0, scale: int = 1) -> Path:
    """Writes the table as zstd Parquet, a million rows a file; does nothing where it is already there."""
    return write_files(folder, groups(rows, seed, scale), FILE_ROWS)


def write_files(folder: Path, tables: Iterator[pa.Table], file_rows: int) -> Path:
    """One row group per table; a new file once one holds ``file_rows``. Finished folders are kept as they are."""
    done = folder / "_DONE"
    if done.exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    writer: pq.ParquetWriter | None = None
    number, held = 0, 0
    for table in tables:
        if writer is None:
            writer = pq.ParquetWriter(folder / f"part-{number:04d}.parquet", table.schema, compression="zstd")
        writer.write_table(table)
        held += table.num_rows
        if held >= file_rows:
            writer.close()
            writer, number, held = None, number + 1, 0
    if writer is not None:
        writer.close()
    done.touch()
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(write(given.output, given.rows, given.seed))


if __name__ == "__main__":
    main()
