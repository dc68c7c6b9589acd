from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recinfer.data.readers import open_reader
from recinfer.data.readers.base import Reader
from recinfer.data.units import Unit, group_row_groups, limit_units
from recinfer.errors import ConfigError, InputError
from tests.data_room.tables import mixed_table, write_parquet


def read_all(reader: Reader, units: list[Unit], columns: list[str] | None = None, batch_rows: int = 64) -> pa.Table:
    return pa.Table.from_batches([batch for unit in units for batch in reader.read(unit, columns, batch_rows)])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 1000)), max_size=30),
    st.integers(1, 120),
    st.integers(1, 3000),
)
def test_units_cover_each_row_once_and_in_order(sizes: list[tuple[int, int]], rows: int, size: int) -> None:
    ranges = list(group_row_groups(sizes, rows, size))
    covered = [group for first, count in ranges for group in range(first, first + count)]
    assert covered == sorted(set(covered))
    assert {group for group, (count, _) in enumerate(sizes) if count} <= set(covered)
    for first, count in ranges:
        held = sizes[first : first + count]
        nonempty = [pair for pair in held if pair[0]]
        assert nonempty
        fits = sum(pair[0] for pair in held) <= rows and sum(pair[1] for pair in held) <= size
        assert fits or len(nonempty) == 1


@settings(max_examples=25, deadline=None)
@given(
    layout=st.lists(st.lists(st.integers(1, 40), max_size=6), min_size=1, max_size=4),
    target=st.integers(1, 100),
    batch=st.integers(1, 64),
)
def test_every_row_is_read_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, layout: list[list[int]], target: int, batch: int
) -> None:
    folder = tmp_path_factory.mktemp("layout")
    schema = pa.schema([("id", pa.int64())])
    row = 0
    for number, groups in enumerate(layout):
        with pq.ParquetWriter(folder / f"{number}.parquet", schema) as writer:
            for rows in groups:
                writer.write_table(pa.table({"id": range(row, row + rows)}, schema=schema))
                row += rows
    reader = open_reader(str(folder))
    units = reader.units(target_rows=target)
    assert [unit.index for unit in units] == list(range(len(units)))
    seen = []
    for unit in units:
        batches = list(reader.read(unit, None, batch))
        assert all(piece.num_rows == batch for piece in batches[:-1]) and 1 <= batches[-1].num_rows <= batch
        assert sum(piece.num_rows for piece in batches) == unit.rows
        seen += [value for piece in batches for value in piece.column(0).to_pylist()]
    assert seen == list(range(row))


def test_projection_keeps_the_order_asked_for(tmp_path: Path) -> None:
    table = mixed_table(2500)
    reader = open_reader(str(write_parquet(tmp_path / "t.parquet", table, 700)))
    assert read_all(reader, reader.units(1000)).equals(table)
    assert read_all(reader, reader.units(1000), ["score", "id"]).equals(table.select(["score", "id"]))
    assert sum(batch.num_rows for unit in reader.units() for batch in reader.read(unit, [], 64)) == 2500


def test_names_with_dots_are_names(tmp_path: Path) -> None:
    table = pa.table({"a.b": [1, 2], "a": [{"b": 3}, {"b": 4}], "b": [5, 6]})
    reader = open_reader(str(write_parquet(tmp_path / "t.parquet", table)))
    for columns in (["a"], ["a.b"], ["b", "a"], ["a.b", "a"]):
        assert read_all(reader, reader.units(), columns).equals(table.select(columns))


def test_threads_read_units_side_by_side(tmp_path: Path) -> None:
    table = mixed_table(5000)
    reader = open_reader(str(write_parquet(tmp_path / "t.parquet", table, 250)), threads=2)
    units = reader.units(500)
    with ThreadPoolExecutor(4) as pool:
        tables = list(pool.map(lambda unit: read_all(reader, [unit]), units))
    assert pa.concat_tables(tables).equals(table)


def test_a_giant_row_group_is_one_unit(tmp_path: Path) -> None:
    reader = open_reader(str(write_parquet(tmp_path / "t.parquet", mixed_table(3000), 3000)))
    assert [(unit.rows, unit.groups) for unit in reader.units(100, 100)] == [(3000, 1)]


def test_streamed_columns_are_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recinfer.data.readers.parquet.STREAM_ABOVE", 10)
    table = mixed_table(3000)
    reader = open_reader(str(write_parquet(tmp_path / "t.parquet", table, 3000)))
    assert read_all(reader, reader.units()).equals(table)


def test_dictionaries_come_out_as_plain_values(tmp_path: Path) -> None:
    table = mixed_table(100)
    coded = table.set_column(1, "code", table["code"].combine_chunks().dictionary_encode())
    write_parquet(tmp_path / "a.parquet", coded)
    write_parquet(tmp_path / "b.parquet", table)
    reader = open_reader(str(tmp_path))
    assert reader.schema.field("code").type == pa.string()
    assert read_all(reader, reader.units()).equals(pa.concat_tables([table, table]))


def test_columns_may_stand_in_another_order(tmp_path: Path) -> None:
    table = mixed_table(100)
    write_parquet(tmp_path / "a.parquet", table)
    write_parquet(tmp_path / "b.parquet", table.select(table.column_names[::-1]))
    reader = open_reader(str(tmp_path))
    assert read_all(reader, reader.units()).equals(pa.concat_tables([table, table]))


def test_another_type_names_file_column_and_both_types(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", pa.table({"id": pa.array([1], pa.int64())}))
    write_parquet(tmp_path / "b.parquet", pa.table({"id": pa.array(["x"])}))
    with pytest.raises(InputError, match=r"'id' is string in .*b\.parquet, but int64 in .*a\.parquet"):
        open_reader(str(tmp_path))


@pytest.mark.parametrize("columns", [{"id": [1]}, {"id": [1], "y": [1], "z": [2]}])
def test_missing_and_extra_columns_are_errors(tmp_path: Path, columns: dict[str, list[int]]) -> None:
    write_parquet(tmp_path / "a.parquet", pa.table({"id": [1], "y": [2]}))
    write_parquet(tmp_path / "b.parquet", pa.table(columns))
    with pytest.raises(InputError, match=r"b\.parquet has"):
        open_reader(str(tmp_path))


def test_an_empty_file_makes_no_unit_and_its_null_types_do_not_count(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", pa.table({"id": pa.array([], pa.null())}))
    write_parquet(tmp_path / "b.parquet", pa.table({"id": [1, 2]}))
    reader = open_reader(str(tmp_path))
    assert [os.path.basename(unit.path) for unit in reader.units()] == ["b.parquet"]
    assert [os.path.basename(file.path) for file in reader.files] == ["a.parquet", "b.parquet"]


@pytest.mark.parametrize("damage", ["truncated", "empty", "text"])
def test_what_is_not_parquet_is_named(tmp_path: Path, damage: str) -> None:
    path = write_parquet(tmp_path / "t.parquet", mixed_table(100))
    whole = path.read_bytes()
    path.write_bytes({"truncated": whole[:-50], "empty": b"", "text": b"hello, world, this is text"}[damage])
    with pytest.raises(InputError, match=r"t\.parquet"):
        open_reader(str(path))


def test_damage_inside_is_named_when_it_is_read(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "t.parquet", pa.table({"id": [f"text {k}" for k in range(5000)]}))
    whole = bytearray(path.read_bytes())
    whole[20:2000] = bytes(1980)
    path.write_bytes(whole)
    reader = open_reader(str(path))
    with pytest.raises(InputError, match=r"cannot read .*t\.parquet"):
        read_all(reader, reader.units())


def test_a_file_that_changed_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "t.parquet", mixed_table(100))
    reader = open_reader(str(path))
    (unit,) = reader.units()
    write_parquet(path, mixed_table(101))
    with pytest.raises(InputError, match="changed since the plan"):
        reader.read(unit)


def test_missing_column_offers_the_nearest_name(tmp_path: Path) -> None:
    reader = open_reader(str(write_parquet(tmp_path / "t.parquet", mixed_table(10))))
    with pytest.raises(InputError, match="did you mean 'score'"):
        reader.read(reader.units()[0], ["scores"])


def test_limited_units_read_the_first_rows(tmp_path: Path) -> None:
    table = mixed_table(2500)
    reader = open_reader(str(write_parquet(tmp_path / "t.parquet", table, 500)))
    units = limit_units(reader.units(1000), 1234)
    assert [unit.rows for unit in units] == [1000, 234]
    assert read_all(reader, units).equals(table.slice(0, 1234))


def test_the_kind_of_table_is_told_by_suffix_or_mark(tmp_path: Path) -> None:
    write_parquet(tmp_path / "part-0", mixed_table(10))
    assert open_reader(str(tmp_path)).schema == mixed_table(1).schema
    (tmp_path / "b.csv").write_text("id\n1\n")
    with pytest.raises(InputError, match="ParquetDataset"):
        open_reader(str(tmp_path))
    (tmp_path / "readme").write_text("hello")
    with pytest.raises(InputError, match="dataset_type"):
        open_reader(str(tmp_path / "readme"))
    with pytest.raises(ConfigError, match="OdpsDataset is not supported"):
        open_reader(str(tmp_path), "OdpsDataset")
