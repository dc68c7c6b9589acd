from __future__ import annotations

import bz2
import csv
import gzip
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recinfer.data.quarantine import SkippedRows
from recinfer.data.readers import csv_file, open_reader
from recinfer.data.readers.base import Reader
from recinfer.data.readers.csv_options import CsvOptions, from_data_config, parse_fields
from recinfer.data.units import limit_units
from recinfer.errors import BadRowError, ConfigError, InputError

HEADER = CsvOptions(with_header=True)
PACK = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": lambda raw: pa.compress(raw, "zstd", asbytes=True),
}


def rows_of(reader: Reader, batch_rows: int = 3, target_rows: int = 5, **read: Any) -> list[tuple[Any, ...]]:
    found = []
    for unit in reader.units(target_rows):
        for batch in reader.read(unit, None, batch_rows, **read):
            found += list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
    return found


def write(path: Path, text: str | bytes) -> str:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


@pytest.mark.parametrize("pack", PACK)
@pytest.mark.parametrize(("suffix", "delimiter"), [(".csv", ","), (".tsv", "\t")])
@pytest.mark.parametrize("chunk", [7, 1 << 20])
def test_round_trip(
    tmp_path: Path, pack: str, suffix: str, delimiter: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_file, "CHUNK_BYTES", chunk)
    rows = [(k, f'say "{k}",\t\n{k}' if k % 3 else None, k / 8) for k in range(23)]
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows([("id", "text", "x"), *rows])
    reader = open_reader(write(tmp_path / f"t{suffix}{pack}", PACK[pack](out.getvalue().encode())), csv=HEADER)
    assert reader.schema == pa.schema([("id", pa.int64()), ("text", pa.string()), ("x", pa.float64())])
    assert rows_of(reader) == rows
    units = reader.units(5)
    assert sum(unit.rows for unit in units) == 23 and len(units) == (1 if pack else 5)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(-(2**62), 2**62)), st.text(st.sampled_from('ab,"\n\r é'), max_size=8)
        ),
        max_size=30,
    ),
    st.integers(1, 7),
    st.integers(1, 10),
)
def test_every_row_is_read_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int | None, str]], batch: int, target: int
) -> None:
    out = io.StringIO(newline="")
    for number, text in rows:
        quoted = text.replace('"', '""')
        out.write(f'{"" if number is None else number},"{quoted}"\n')
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    options = CsvOptions(columns=[("a", pa.int64()), ("b", pa.string())])
    reader = open_reader(write(path, out.getvalue()), csv=options)
    assert rows_of(reader, batch, target) == rows


def test_empty_cells_are_null_and_quoted_ones_empty_text(tmp_path: Path) -> None:
    options = CsvOptions(columns=parse_fields("a:INT64;b:STRING;c:DOUBLE"))
    path = write(tmp_path / "t.csv", '1,x,1.5\n,,\n"","",""\n"4","y","2"\n')
    assert rows_of(open_reader(path, csv=options)) == [
        (1, "x", 1.5),
        (None, None, None),
        (None, "", None),
        (4, "y", 2.0),
    ]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2", "", "0"], pa.int64()),
        (["00123", "7"], pa.string()),
        (["12345678901234567890"], pa.string()),
        (["1.5", "2", "-1e-3"], pa.float64()),
        (["1.5", "007.5"], pa.string()),
        (["12345678901234567890", "1.5"], pa.string()),
        (["+1"], pa.string()),
        (["true", "false"], pa.string()),
        (["2024-01-01"], pa.string()),
        (["", ""], pa.string()),
        (["nan", "1.5"], pa.float64()),
    ],
)
def test_inferred_types_change_no_value(tmp_path: Path, values: list[str], kind: pa.DataType) -> None:
    path = write(tmp_path / "t.csv", "k,v\n" + "".join(f"{k},{value}\n" for k, value in enumerate(values)))
    assert open_reader(path, csv=HEADER).schema.field("v").type == kind


def test_types_are_fixed_by_the_first_file_and_hold_for_all(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "id,v\n1,2\n")
    write(tmp_path / "b.csv", "v,id\nx,2\n")
    reader = open_reader(str(tmp_path), csv=HEADER)
    with pytest.raises(BadRowError, match=r"b\.csv row 1: column 'v': 'x' is not a whole number \(int64\)"):
        rows_of(reader)


def test_columns_may_stand_in_another_order(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "id,v\n1,x\n")
    write(tmp_path / "b.csv", "v,id\ny,2\n")
    assert rows_of(open_reader(str(tmp_path), csv=HEADER)) == [(1, "x"), (2, "y")]


def test_input_fields_win_over_inference(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "id,n\n1,2\n")
    options = CsvOptions(with_header=True, columns=[("id", pa.string()), ("n", None)])
    assert rows_of(open_reader(path, csv=options)) == [("1", 2)]


@pytest.mark.parametrize("chunk", [3, 1 << 20])
@pytest.mark.parametrize("first", ["\ufeff", "", "\n\n\n\n\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("pack", PACK)
def test_marks_blank_lines_and_line_ends(
    tmp_path: Path, first: str, end: str, pack: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_file, "CHUNK_BYTES", chunk)
    text = first + end.join(["id,v", "", "1,x", "", "", "2,y"])
    reader = open_reader(write(tmp_path / f"t.csv{pack}", PACK[pack](text.encode())), csv=HEADER)
    assert reader.schema.names == ["id", "v"]
    assert rows_of(reader, target_rows=1) == [(1, "x"), (2, "y")]


def test_without_header_or_fields_the_error_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"(?s)t\.csv.*with_header: true.*input_fields"):
        open_reader(write(tmp_path / "t.csv", "1,2\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [("a,a\n1,2\n", "'a' twice"), ("a,\n1,2\n", "column 2 has no name"), ("", "empty"), (b"\xff,b\n", "UTF-8")],
)
def test_bad_headers(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_reader(write(tmp_path / "t.csv", text), csv=HEADER)


def test_files_with_other_columns_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "id,v\n1,x\n")
    write(tmp_path / "b.csv", "id,w\n1,x\n")
    with pytest.raises(InputError, match=r"b\.csv has no column 'v'"):
        open_reader(str(tmp_path), csv=HEADER)
    with pytest.raises(InputError, match="no column 'zip'"):
        open_reader(str(tmp_path / "a.csv"), csv=CsvOptions(with_header=True, columns=[("zip", pa.int64())]))


BAD = "1,a\n2,b\nx,c\n4\n5,e\n6,f,g\n7,h\n"


def test_the_first_bad_row_is_named(tmp_path: Path) -> None:
    options = CsvOptions(columns=parse_fields("id:INT64;v:STRING"))
    path = write(tmp_path / "t.csv", BAD)
    with pytest.raises(BadRowError, match=r"t\.csv row 3: column 'id': 'x' is not a whole number"):
        rows_of(open_reader(path, csv=options))
    path = write(tmp_path / "u.csv", "1,a\n4\n")
    with pytest.raises(BadRowError, match=r"u\.csv row 2: 1 columns, expected 2"):
        rows_of(open_reader(path, csv=options))
    path = write(tmp_path / "v.csv", b"1,a\n4,\xff\n")
    with pytest.raises(BadRowError, match=r"v\.csv row 2: column 'v'.*UTF-8"):
        rows_of(open_reader(path, csv=options))


@pytest.mark.parametrize("target", [2, 5, 100])
@pytest.mark.parametrize("pack", ["", ".gz"])
def test_bad_rows_are_left_out_and_traced(tmp_path: Path, target: int, pack: str) -> None:
    options = CsvOptions(columns=parse_fields("id:INT64;v:STRING"))
    reader = open_reader(write(tmp_path / f"t.csv{pack}", PACK[pack](BAD.encode())), csv=options)
    good, bad = [], []
    for unit in reader.units(target):
        skipped = SkippedRows(unit.first_row)
        delivered = 0
        for batch in reader.read(unit, None, 2, skipped.add):
            for value in batch.column("id").to_pylist():
                good.append((value, skipped.file_row(delivered)))
                delivered += 1
        bad += [(row.row, row.reason, row.columns) for row in skipped.rows]
    assert good == [(1, 1), (2, 2), (5, 5), (7, 7)]
    assert bad == [
        (3, "column 'id': 'x' is not a whole number (int64)", '{"id": "x", "v": "c"}'),
        (4, "1 columns, expected 2", '["4"]'),
        (6, "3 columns, expected 2", '["6", "f", "g"]'),
    ]


@pytest.mark.parametrize("pack", [".gz", ".bz2", ".zst"])
def test_a_truncated_compressed_file_is_named(tmp_path: Path, pack: str) -> None:
    whole = PACK[pack](b"id,v\n" + b"".join(b"%d,%d\n" % (k, k * 7919) for k in range(20000)))
    path = write(tmp_path / f"t.csv{pack}", whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"t\.csv\.\w+: Truncated"):
        open_reader(path, csv=HEADER).units()


def test_rows_that_are_gone_since_the_plan_are_noticed(tmp_path: Path) -> None:
    reader = open_reader(
        write(tmp_path / "t.csv", "1,a\n2,b\n"), csv=CsvOptions(columns=parse_fields("id:INT64;v:STRING"))
    )
    (unit,) = reader.units()
    write(tmp_path / "t.csv", "1,a\n2 b\n")
    with pytest.raises(InputError, match="changed since the plan"):
        list(reader.read(unit))


def test_a_plan_of_other_rows_is_noticed(tmp_path: Path) -> None:
    from dataclasses import replace

    reader = open_reader(write(tmp_path / "t.csv", "id\n1\n2\n"), csv=HEADER)
    with pytest.raises(InputError, match="changed since the plan"):
        list(reader.read(replace(reader.units()[0], rows=3)))


@pytest.mark.parametrize("rows", [1, 4, 5, 7, 100])
def test_limited_units_read_the_first_rows(tmp_path: Path, rows: int) -> None:
    reader = open_reader(write(tmp_path / "t.csv", "id\n" + "".join(f"{k}\n" for k in range(12))), csv=HEADER)
    units = limit_units(reader.units(5), rows)
    assert [value for unit in units for batch in reader.read(unit) for value in batch.column(0).to_pylist()] == list(
        range(min(rows, 12))
    )


class Config:
    """Stands in for a DataConfig."""

    def __init__(self, **fields: Any) -> None:
        self.delimiter, self.with_header, self.input_fields, self.input_fields_str = ",", False, [], ""
        self.__dict__.update(fields)
        self._set = set(fields)

    def HasField(self, name: str) -> bool:
        return name in self._set


def test_options_from_a_config() -> None:
    options = from_data_config(
        Config(input_fields_str="a:BIGINT; b:STRING;c:float;d:ARRAY<INT>;e:MAP<STRING, INT>;f:MAP_INT64_FLOAT")
    )
    assert options.delimiter is None and not options.with_header
    assert options.columns == [
        ("a", pa.int64()),
        ("b", pa.string()),
        ("c", pa.float32()),
        ("d", pa.string()),
        ("e", pa.string()),
        ("f", pa.string()),
    ]
    assert from_data_config(Config(delimiter="\\t", with_header=True)) == CsvOptions("\t", True, None)


def test_options_from_a_data_config_message() -> None:
    data_pb2 = pytest.importorskip("recinfer.protos.data_pb2")
    config = data_pb2.DataConfig(delimiter="|")
    config.input_fields.add(input_name="a", input_type="INT64")
    config.input_fields.add(input_name="b", input_type="ARRAY_ARRAY_FLOAT")
    config.input_fields.add(input_name="c")
    assert from_data_config(config) == CsvOptions("|", False, [("a", pa.int64()), ("b", pa.string()), ("c", None)])
    assert from_data_config(data_pb2.DataConfig()).delimiter is None


@pytest.mark.parametrize(
    "fields",
    [
        {"input_fields_str": "a:BLOB"},
        {"input_fields_str": "a"},
        {"input_fields_str": "a:INT;a:INT"},
        {"delimiter": "||"},
        {"delimiter": '"'},
    ],
)
def test_bad_options(fields: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        from_data_config(Config(**fields))
