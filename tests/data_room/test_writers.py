from __future__ import annotations

import csv
import errno
import hashlib
import json
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recinfer.data.readers import open_reader
from recinfer.data.readers.csv_options import CsvOptions
from recinfer.data.writers import open_writer, writer_class
from recinfer.data.writers.json_text import json_text
from recinfer.errors import OutputError, UsageError
from tests.data_room.tables import mixed_table


def write(path: Path, table: pa.Table, kind: str, batch_rows: int = 1000) -> Path:
    writer = open_writer(path, table.schema, kind)
    for batch in table.to_batches(batch_rows):
        writer.write(batch)
    stats = writer.close()
    assert stats.rows == table.num_rows
    assert stats.bytes == path.stat().st_size
    assert stats.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    return path


def test_parquet_round_trip_in_order(tmp_path: Path) -> None:
    table = mixed_table(5000)
    assert pq.read_table(write(tmp_path / "t.parquet", table, "ParquetWriter")).equals(table)


def test_parquet_bytes_do_not_depend_on_batches(tmp_path: Path) -> None:
    # Large enough for several pages in a column: their borders must not move either.
    numbers = np.arange(270_000)
    table = pa.table({"id": numbers, "name": [f"name of {k % 1000}" for k in numbers.tolist()]})
    first = write(tmp_path / "a.parquet", table, "ParquetWriter", 777).read_bytes()
    assert first == write(tmp_path / "b.parquet", table, "ParquetWriter", 269_999).read_bytes()
    metadata = pq.read_metadata(tmp_path / "a.parquet")
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [262_144, 7856]


def test_a_part_without_rows_keeps_its_schema(tmp_path: Path) -> None:
    table = mixed_table(0)
    assert pq.read_table(write(tmp_path / "t.parquet", table, "ParquetWriter")).schema == table.schema
    assert write(tmp_path / "t.csv", table, "CsvWriter").read_text() == '"id","code","score","price","history"\n'


def test_csv_keeps_text_nulls_and_lists(tmp_path: Path) -> None:
    table = pa.table(
        {
            "code": pa.array(["00123", None, "", 'a,"b"\nc']),
            "probs": pa.array([[0.5, None], None, [], [1.25]], pa.list_(pa.float32())),
            "tags": pa.array([["x", 'y"', None], [], None, ["ü"]], pa.list_(pa.string())),
            "matrix": pa.array([[[1, 2], [3]], [[]], [None], None], pa.list_(pa.list_(pa.int64()))),
            "pair": pa.array([[1, 2], [3, None], None, [5, 6]], pa.list_(pa.int32(), 2)),
            "map": pa.array([[("a", 1)], [], None, [("b", None)]], pa.map_(pa.string(), pa.int64())),
            "n": pa.array([1, None, 3, 4]),
        }
    )
    path = write(tmp_path / "t.csv", table, "CsvWriter", 3)
    assert path.read_text().splitlines()[1].startswith('"00123","[0.5,null]"')
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    for name in ("probs", "tags", "matrix", "pair"):
        assert [json.loads(row[name]) if row[name] else None for row in rows] == table[name].to_pylist()
    assert [row["map"] for row in rows] == ['{"a": 1}', "{}", "", '{"b": null}']
    assert [row["n"] for row in rows] == ["1", "", "3", "4"]
    # Nulls are told from empty text by the quotes, which only Arrow's reader looks at.
    options = CsvOptions(with_header=True, columns=[("code", pa.string())])
    reader = open_reader(str(path), csv=options)
    assert [v for unit in reader.units() for b in reader.read(unit, ["code"]) for v in b["code"].to_pylist()] == table[
        "code"
    ].to_pylist()


def test_float_lists_survive_json_exactly() -> None:
    values = [0.1, 1e-30, 3.4e38, float("inf"), float("-inf"), -0.0, 1 / 3]
    column = pa.array([values, values[:2]], pa.list_(pa.float32()))
    read = [pa.array(json.loads(text), pa.float32()) for text in json_text(column).to_pylist()]
    assert read[0].equals(column[0].values) and read[1].equals(column[1].values)
    assert json_text(pa.array([[float("nan")]], pa.list_(pa.float64()))).to_pylist() == ["[NaN]"]


def test_json_of_a_slice_sees_only_the_slice() -> None:
    column = pa.array([[1], [2, 3], None, [4]], pa.list_(pa.int64()))
    assert json_text(column.slice(1, 3)).to_pylist() == ["[2,3]", None, "[4]"]


def test_a_batch_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    writer = open_writer(tmp_path / "t.parquet", pa.schema([("id", pa.int64())]))
    with pytest.raises(OutputError, match="id int32, the plan says id int64"):
        writer.write(pa.record_batch([pa.array([1], pa.int32())], names=["id"]))
    writer.discard()
    assert not (tmp_path / "t.parquet").exists()


@pytest.fixture
def small_files() -> Iterator[None]:
    """Lets the system refuse to write more than 64 KiB to a file, as it refuses when a disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("kind", ["ParquetWriter", "CsvWriter"])
def test_what_the_disk_refuses_is_named_with_its_cause(tmp_path: Path, kind: str) -> None:
    writer = open_writer(tmp_path / "t", mixed_table(0).schema, kind)
    with pytest.raises(OutputError, match=r"cannot write .*/t: File too large") as caught:
        for batch in mixed_table(50_000).to_batches():
            writer.write(batch)
        writer.close()
    assert isinstance(caught.value.__cause__, OSError) and caught.value.__cause__.errno == errno.EFBIG
    writer.discard()
    assert not (tmp_path / "t").exists()


def test_unknown_writer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="XmlWriter"):
        open_writer(tmp_path / "t", pa.schema([]), "XmlWriter")


@pytest.mark.parametrize("kind", [pa.binary(), pa.binary(4), pa.list_(pa.large_binary())])
def test_bytes_are_refused_for_csv_before_anything_is_written(tmp_path: Path, kind: pa.DataType) -> None:
    schema = pa.schema([("row", pa.int64()), ("raw", kind)])
    with pytest.raises(OutputError, match=r"column 'raw' holds .*binary"):
        writer_class("CsvWriter").check(schema)
    writer_class("ParquetWriter").check(schema)
