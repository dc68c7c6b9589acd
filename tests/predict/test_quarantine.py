"""Rows that cannot be used are put aside with their reason and place, and no row is lost or counted twice."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recinfer.errors import BadRowError, StageError
from recinfer.main import verify
from recinfer.predict.scorer import Scorer
from tests.predict.conftest import ROWS, part_hashes, read_parts
from tests.predict.test_failures import RESERVED, fail_writing

Run = Callable[..., tuple[Any, Path]]

FIRST_FILE = 700


@pytest.fixture
def spoilt(table: pa.Table, tmp_path: Path) -> tuple[Path, dict[int, str]]:
    """The source with bad ids, vectors and sequences in it: its folder, and by row what is wrong with it."""
    rng = np.random.default_rng(0)
    bad: dict[int, str] = {}
    columns = {name: table[name].to_pylist() for name in ("user_id", "profile", "history__movie_id")}
    # A whole batch and a whole unit, too: the unit of one row, the second file's first.
    rows = [*range(64, 128), FIRST_FILE, *rng.choice(np.arange(130, ROWS), 40, replace=False).tolist()]
    for row in rows:
        kind = rng.integers(3)
        if kind == 0:
            columns["user_id"][row], bad[row] = 50 + row, f"column 'user_id': id {50 + row} is outside"
        elif kind == 1:
            columns["profile"][row], bad[row] = [1.0, 2.0], "column 'profile': a vector of 2 values"
        else:
            columns["history__movie_id"][row], bad[row] = [-1], "column 'history__movie_id': id -1"
    for name, values in columns.items():
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.array(values, table.schema.field(name).type))
    folder = tmp_path / "spoilt"
    folder.mkdir()
    for name, first, last in (("a", 0, FIRST_FILE), ("b", FIRST_FILE, FIRST_FILE + 1), ("c", FIRST_FILE + 1, ROWS)):
        pq.write_table(table.slice(first, last - first), folder / f"{name}.parquet", row_group_size=100)
    return folder, bad


def quarantined(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for path in sorted((folder / "_quarantine").iterdir())])


def place_in_file(row: int) -> tuple[str, int]:
    """File name, and number of the row in it, counted from 1."""
    for name, first in (("c", FIRST_FILE + 1), ("b", FIRST_FILE), ("a", 0)):
        if row >= first:
            return f"{name}.parquet", row - first + 1
    raise AssertionError(row)


def test_bad_rows_are_put_aside_and_the_others_are_scored(
    run: Run, spoilt: tuple[Path, dict[int, str]], scorer: Scorer, table: pa.Table
) -> None:
    source, bad = spoilt
    summary, folder = run(input_path=source, quarantine=True, reserved_columns=["row_id"])
    assert summary.rows_in == ROWS == summary.rows_out + summary.quarantined
    assert summary.quarantined == len(bad)
    report = verify(folder)
    assert report.complete, report.problems

    aside = quarantined(folder)
    assert aside.num_rows == len(bad)
    found = {
        (Path(row["file"]).name, row["row"]): (row["reason"], json.loads(row["columns"])) for row in aside.to_pylist()
    }
    assert found.keys() == {place_in_file(row) for row in bad}
    for row, words in bad.items():
        reason, columns = found[place_in_file(row)]
        assert words in reason
        assert columns["row_id"] == row and columns["movie_id"] == table["movie_id"][row].as_py()

    out = read_parts(folder)
    good = [row for row in range(ROWS) if row not in bad]
    assert out["row_id"].to_pylist() == good
    expected = scorer.score(table.take(good))
    np.testing.assert_allclose(np.array(out["probs"]), np.array(expected["probs"]), rtol=1e-5, atol=1e-5)


def test_bytes_do_not_depend_on_batches_and_threads(run: Run, spoilt: tuple[Path, dict[int, str]]) -> None:
    source, _ = spoilt
    whole = []
    for number, (batch_size, threads) in enumerate([(64, 1), (128, 3), (8192, 2)]):
        _, folder = run(
            f"out{number}", input_path=source, quarantine=True, batch_size=batch_size, predict_threads=threads
        )
        whole.append((part_hashes(folder), quarantined(folder)))
    assert whole[0] == whole[1] == whole[2]


def test_without_quarantine_the_first_bad_row_is_an_error(run: Run, spoilt: tuple[Path, dict[int, str]]) -> None:
    source, bad = spoilt
    with pytest.raises(BadRowError) as caught:
        run(input_path=source)
    # The first batch with bad rows fails; which of its columns is parsed first decides which of them is named.
    found = re.search(r"in row (\d+)", str(caught.value))
    assert found is not None
    row = int(found[1]) - 1
    assert row in range(64, 128) and bad[row] in str(caught.value)
    assert f"{source / 'a.parquet'}, unit 0, rows 65 to 128" in str(caught.value)


@pytest.mark.parametrize("spare", [-1, 0])
def test_the_limit_is_held(run: Run, spoilt: tuple[Path, dict[int, str]], spare: int) -> None:
    source, bad = spoilt
    limit = len(bad) + spare
    if spare < 0:
        with pytest.raises(BadRowError, match=f"{len(bad)} rows cannot be used, more than --max-bad-rows {limit}"):
            run(input_path=source, quarantine=True, max_bad_rows=limit)
    summary, folder = run(input_path=source, quarantine=True, max_bad_rows=len(bad))
    assert summary.quarantined == len(bad) and verify(folder).complete


def test_the_limit_counts_rows_of_earlier_runs(run: Run, spoilt: tuple[Path, dict[int, str]], scorer: Scorer) -> None:
    source, bad = spoilt
    options = {"input_path": source, "quarantine": True, "reserved_columns": RESERVED, "predict_threads": 1}
    assert 500 not in bad
    with pytest.MonkeyPatch.context() as failing:
        fail_writing(failing, scorer)
        with pytest.raises(StageError):
            run(max_bad_rows=len(bad) - 1, **options)
    with pytest.raises(BadRowError, match="cannot be used"):
        run(max_bad_rows=len(bad) - 1, **options)
    summary, folder = run(max_bad_rows=len(bad), **options)
    assert summary.quarantined == len(bad) == quarantined(folder).num_rows
    _, whole = run("whole", **options)
    assert part_hashes(folder) == part_hashes(whole)


def test_nothing_bad_nothing_aside(run: Run) -> None:
    summary, folder = run(quarantine=True)
    assert summary.quarantined == 0 and not (folder / "_quarantine").exists()
    _, plain = run("plain")
    assert part_hashes(folder) == part_hashes(plain)


def test_with_and_without_quarantine_are_two_jobs(run: Run) -> None:
    from recinfer.errors import PlanMismatchError

    run()
    with pytest.raises(PlanMismatchError, match="on_error"):
        run(quarantine=True)


def test_a_step_of_two_ids_is_bad_where_the_model_takes_one(run: Run, table: pa.Table, tmp_path: Path) -> None:
    values = table["history__movie_id"].to_pylist()
    nested: list[Any] = [None if row is None else [[step] for step in row] for row in values]
    nested[7] = [[1, 2]]
    nested[9] = [[1], []]
    place = table.column_names.index("history__movie_id")
    column = pa.array(nested, pa.list_(pa.list_(pa.int64())))
    pq.write_table(table.set_column(place, "history__movie_id", column), tmp_path / "in.parquet")
    summary, folder = run(input_path=tmp_path / "in.parquet", quarantine=True)
    assert summary.quarantined == 2
    assert [(row["row"], row["reason"][:40]) for row in quarantined(folder).to_pylist()] == [
        (8, "column 'history__movie_id': a step holds "[:40]),
        (10, "column 'history__movie_id': a step holds "[:40]),
    ]


def test_csv_rows_that_do_not_fit_their_header_are_put_aside_beside_those_that_do_not_parse(
    run: Run, exported: Callable[[str], Path], tmp_path: Path
) -> None:
    import recinfer

    names = "row_id,user_id,movie_id,genres,tags,age,rating,profile,popularity,recency"
    lines = [f"{n},{n % 50},{n % 40},,,0,1.5,1\x032\x033,0.5,0.5" for n in range(300)]
    lines[3] = "3,1,2"
    lines[4] = lines[4] + ",one,too,many"
    lines[5] = lines[5].replace("1\x032\x033", "1\x032")
    lines[250] = lines[250].replace(",10,", ",x,", 1)
    bad = [3, 4, 5, 250]
    path = tmp_path / "in.csv"
    path.write_text("\n".join([names, *lines]) + "\n", encoding="utf-8")
    model = recinfer.load_scorer(exported("deepfm"))
    summary, folder = run(input_path=path, model=model, quarantine=True, reserved_columns=["row_id"])
    assert summary.rows_in == 300 and summary.quarantined == len(bad)
    assert [row["row"] for row in quarantined(folder).sort_by("row").to_pylist()] == [row + 1 for row in bad]
    kept = [str(row) for row in range(300) if row not in bad]
    assert [str(row) for row in read_parts(folder)["row_id"].to_pylist()] == kept
    assert verify(folder).complete
