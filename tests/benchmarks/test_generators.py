"""The generators give the same rows for the same seed, whatever the length of the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from benchmarks import make_criteo, make_sequences

GENERATORS = [make_criteo, make_sequences]


@pytest.mark.parametrize("generator", GENERATORS)
def test_equal_seeds_give_equal_rows_and_others_do_not(generator: object) -> None:
    first = generator.group(3, 0, 500)
    assert first.equals(generator.group(3, 0, 500))
    assert not first.equals(generator.group(4, 0, 500))
    assert not first.equals(generator.group(3, 1, 500))


@pytest.mark.parametrize("generator", GENERATORS)
def test_a_longer_table_begins_with_the_rows_of_a_shorter_one(generator: object) -> None:
    assert generator.group(0, 0, 900).slice(0, 400).equals(generator.group(0, 0, 400))
    rows = generator.GROUP_ROWS + 50
    pieces = list(generator.groups(rows, seed=0, scale=1000))
    assert [piece.num_rows for piece in pieces] == [generator.GROUP_ROWS, 50]
    ids = pa.concat_tables(pieces).column("row_id").to_numpy()
    np.testing.assert_array_equal(ids, np.arange(rows))


def test_criteo_columns_types_and_ids_inside_their_tables() -> None:
    table = make_criteo.group(0, 0, 5_000)
    dense = [name for name in table.column_names if name.startswith("dense_")]
    assert len(dense) == 13
    assert {table.schema.field(name).type for name in dense} == {pa.float32()}
    for number, size in enumerate(make_criteo.vocabularies()):
        column = table.column(f"cat_{number}")
        assert column.type == pa.int64()
        assert pc.min(column).as_py() >= 0
        assert pc.max(column).as_py() < size
    assert (min(make_criteo.VOCABULARIES), max(make_criteo.VOCABULARIES)) == (3, 1_000_000)
    assert len(make_criteo.VOCABULARIES) == 26


def test_ranks_follow_zipf() -> None:
    ids = make_criteo.zipf_ids(np.random.default_rng(0), 200_000, 1000)
    counts = np.sort(np.bincount(ids, minlength=1000))[::-1]
    # Under Zipf's law with exponent 1, each doubling of the rank has an equal share.
    shares = [counts[2**k - 1 : 2 ** (k + 1) - 1].sum() for k in range(9)]
    assert max(shares) < 1.3 * min(shares)


def test_sequences_have_the_lengths_that_are_promised() -> None:
    table = make_sequences.group(0, 0, make_sequences.GROUP_ROWS, scale=100)
    lengths = pc.list_value_length(table.column("hist_item"))
    assert table.column("hist_brand").type == pa.list_(pa.int64())
    assert 35 < pc.mean(lengths).as_py() < 39
    assert (pc.min(lengths).as_py(), pc.max(lengths).as_py()) == (1, 100)
    for name in ("hist_category", "hist_brand"):
        assert pc.list_value_length(table.column(name)).equals(lengths)
    users = table.column("user").to_numpy().reshape(-1, make_sequences.ROWS_PER_USER)
    assert (users == users[:, :1]).all()
    histories = table.column("hist_item").to_pylist()[:20]
    assert all(history == histories[0] for history in histories)


def test_written_files_hold_the_table_in_row_groups(tmp_path: Path) -> None:
    rows = make_criteo.GROUP_ROWS + 10
    folder = make_criteo.write(tmp_path / "table", rows, seed=5, scale=1000)
    (path,) = folder.glob("*.parquet")
    file = pq.ParquetFile(path)
    assert [file.metadata.row_group(group).num_rows for group in range(2)] == [make_criteo.GROUP_ROWS, 10]
    assert file.read().equals(pa.concat_tables(make_criteo.groups(rows, 5, 1000)))
    written = path.stat().st_mtime_ns
    make_criteo.write(folder, rows, seed=5, scale=1000)
    assert path.stat().st_mtime_ns == written
