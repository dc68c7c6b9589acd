"""A table through readers, units and commit without any model: the room stands alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recinfer.data.readers import open_reader
from recinfer.data.readers.csv_options import CsvOptions, parse_fields
from recinfer.data.table_copy import copy_table
from recinfer.errors import BadRowError, InputError
from tests.data_room.tables import mixed_table, read_parts, write_parquet


def test_a_folder_of_parquet_is_copied_row_for_row(tmp_path: Path) -> None:
    tables = [mixed_table(1200, seed) for seed in range(3)]
    for number, table in enumerate(tables):
        write_parquet(tmp_path / "in" / f"{number}.parquet", table, 300)
    totals = copy_table(str(tmp_path / "in"), tmp_path / "out", target_rows=700, batch_rows=128)
    assert (totals.rows_in, totals.rows, totals.parts) == (3600, 3600, 6)
    assert read_parts(tmp_path / "out").equals(pa.concat_tables(tables))


def test_columns_are_chosen_and_ordered(tmp_path: Path) -> None:
    write_parquet(tmp_path / "t.parquet", mixed_table(100))
    copy_table(str(tmp_path / "t.parquet"), tmp_path / "out", columns=["score", "id"])
    assert read_parts(tmp_path / "out").equals(mixed_table(100).select(["score", "id"]))
    with pytest.raises(InputError, match="did you mean 'score'"):
        copy_table(str(tmp_path / "t.parquet"), tmp_path / "other", columns=["scor"])
    assert not (tmp_path / "other").exists()


def test_parquet_to_csv_and_back(tmp_path: Path) -> None:
    table = mixed_table(1000)
    write_parquet(tmp_path / "t.parquet", table, 300)
    copy_table(str(tmp_path / "t.parquet"), tmp_path / "csv", kind="CsvWriter", target_rows=300)
    fields = CsvOptions(with_header=True, columns=parse_fields("code:STRING;score:FLOAT;history:ARRAY<BIGINT>"))
    copy_table(str(tmp_path / "csv"), tmp_path / "out", csv=fields, target_rows=250)
    back = read_parts(tmp_path / "out")
    for name in ("id", "code", "score", "price"):
        assert back[name].equals(table[name]), name
    assert back["history"].to_pylist() == [
        None if v is None else str(v).replace(" ", "") for v in table["history"].to_pylist()
    ]


def test_the_output_of_one_copy_is_input_for_the_next(tmp_path: Path) -> None:
    write_parquet(tmp_path / "t.parquet", mixed_table(100))
    copy_table(str(tmp_path / "t.parquet"), tmp_path / "a", target_rows=50)
    copy_table(str(tmp_path / "a"), tmp_path / "b")
    assert read_parts(tmp_path / "b").equals(mixed_table(100))


def test_bad_rows_go_to_quarantine_up_to_a_number(tmp_path: Path) -> None:
    source = tmp_path / "t.csv"
    source.write_text("".join(f"{k}\n" if k % 10 else f"x{k}\n" for k in range(50)))
    options = CsvOptions(columns=parse_fields("id:INT64"))
    with pytest.raises(BadRowError, match=r"t\.csv row 1: column 'id'"):
        copy_table(str(source), tmp_path / "strict", csv=options)
    with pytest.raises(BadRowError, match=r"5 bad rows, 4 are allowed; the last: .*t\.csv row 41"):
        copy_table(str(source), tmp_path / "out", csv=options, target_rows=20, max_bad_rows=4)
    totals = copy_table(str(source), tmp_path / "out", csv=options, target_rows=20, max_bad_rows=5)
    assert (totals.rows_in, totals.rows, totals.quarantined) == (50, 45, 5)
    files = sorted((tmp_path / "out" / "_quarantine").iterdir())
    assert [path.name for path in files] == ["unit-00000.parquet", "unit-00001.parquet", "unit-00002.parquet"]
    rows = pa.concat_tables([pq.read_table(path) for path in files]).to_pylist()
    assert [(row["file"], row["row"], row["columns"]) for row in rows] == [
        (str(source), k + 1, f'{{"id": "x{k}"}}') for k in range(0, 50, 10)
    ]
    assert read_parts(tmp_path / "out")["id"].to_pylist() == [k for k in range(50) if k % 10]


def test_the_room_needs_no_model() -> None:
    code = "import sys, recinfer.data.table_copy, recinfer.data.verify; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    reader = open_reader(str(write_parquet(tmp_path / "t.parquet", mixed_table(200_000), 20_000)))
    (unit,) = reader.units()
    pool = pa.default_memory_pool()
    before, most = pool.bytes_allocated(), 0
    for _ in reader.read(unit, ["id", "score"], 1000):
        most = max(most, pool.bytes_allocated() - before)
    assert most < unit.bytes
