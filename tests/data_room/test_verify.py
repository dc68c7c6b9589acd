from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from recinfer.data.readers.csv_options import CsvOptions, parse_fields
from recinfer.data.table_copy import copy_table
from recinfer.data.verify import verify_output
from tests.data_room.tables import mixed_table, write_parquet


@pytest.fixture(params=["ParquetWriter", "CsvWriter"])
def out(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    source = tmp_path / "t.csv"
    source.write_text("".join(f"{k},x\n" if k != 7 else "bad,x\n" for k in range(40)))
    options = CsvOptions(columns=parse_fields("id:INT64;v:STRING"))
    copy_table(str(source), tmp_path / "out", csv=options, kind=request.param, target_rows=10, max_bad_rows=1)
    return tmp_path / "out"


def part(out: Path, index: int = 1) -> Path:
    return next(out.glob(f"part-0000{index}.*"))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def edit(path: Path, **fields: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_a_complete_output_has_no_problems(out: Path) -> None:
    report = verify_output(out)
    assert report.complete and report.problems == []
    assert (report.units, report.parts, report.rows, report.quarantined) == (4, 4, 39, 1)
    assert report.bytes == sum(path.stat().st_size for path in out.glob("part-*"))


DAMAGE: list[tuple[Callable[[Path], object], str]] = [
    (lambda out: (out / "_SUCCESS").unlink(), r"no _SUCCESS.*4 of 4 units"),
    (lambda out: part(out).unlink(), r"part-00001\.\w+ is missing"),
    (lambda out: part(out).write_bytes(part(out).read_bytes()[:-3]), r"part-00001\.\w+ has \d+ bytes"),
    (lambda out: flip(part(out)), r"part-00001\.\w+ is damaged"),
    (lambda out: (out / "_recinfer/units/00002.json").unlink(), r"unit 2 is not done: rows 21 to 30 of .*t\.csv"),
    (lambda out: (out / "_recinfer/units/00002.json").write_text("{"), "record of unit 2 is damaged"),
    (
        lambda out: edit(out / "_recinfer/units/00002.json", rows=9),
        "unit 2: 9 rows . 0 quarantined, but the plan has 10",
    ),
    (lambda out: edit(out / "_recinfer/units/00002.json", rows=9), r"part-00002\.\w+ has 10 rows, 9 were written"),
    (lambda out: (out / "part-00009.parquet").write_text("x"), r"part-00009\.parquet does not belong"),
    (lambda out: (out / "_quarantine/unit-00000.parquet").unlink(), r"unit-00000\.parquet cannot be read"),
    (lambda out: write_parquet(out / "_quarantine/unit-00000.parquet", mixed_table(5)), "has 5 rows, 1 were written"),
    (
        lambda out: write_parquet(out / "_quarantine/unit-00003.parquet", mixed_table(5)),
        "unit-00003.parquet does not belong",
    ),
    (lambda out: edit(out / "_SUCCESS", rows=38), "_SUCCESS says rows 38, the records 39"),
    (lambda out: edit(out / "_SUCCESS", parts=[]), "_SUCCESS lists other parts"),
    (lambda out: (out / "_SUCCESS").write_text("{"), "_SUCCESS is damaged"),
    (lambda out: (out / "_recinfer/plan.json").unlink(), r"no _recinfer/plan\.json"),
    (lambda out: (out / "_recinfer/plan.json").write_text("{"), r"plan\.json is damaged"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGE)
def test_each_damage_is_found(out: Path, damage: Callable[[Path], object], message: str) -> None:
    import re

    damage(out)
    report = verify_output(out)
    assert not report.complete
    assert any(re.search(message, problem) for problem in report.problems), report.problems


def test_a_part_of_another_schema_is_found(tmp_path: Path) -> None:
    import hashlib

    source = write_parquet(tmp_path / "t.parquet", mixed_table(10))
    copy_table(str(source), tmp_path / "out")
    path = write_parquet(
        tmp_path / "out" / "part-00000.parquet", mixed_table(10).rename_columns(["a", "b", "c", "d", "e"])
    )
    edit(
        tmp_path / "out/_recinfer/units/00000.json",
        bytes=path.stat().st_size,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    assert "part-00000.parquet has another schema than the plan" in verify_output(tmp_path / "out").problems
    assert pq.read_metadata(path).num_rows == 10


def test_a_folder_of_others_is_no_output(tmp_path: Path) -> None:
    assert not verify_output(tmp_path).complete
    assert not verify_output(tmp_path / "nothing").complete
