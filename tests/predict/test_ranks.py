"""Several processes write, byte for byte, what one writes; whichever of them is killed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from recinfer.data.lock import MemberLock
from recinfer.errors import OutputError
from recinfer.main import predict, verify
from recinfer.predict import job
from recinfer.predict.chunk_choice import choose_chunking
from recinfer.predict.scorer import Scorer
from tests.predict.conftest import CHUNKING, part_hashes, read_parts
from tests.predict.rank_jobs import OPTIONS, endings, start
from tests.synthetic import make_table
from tests.torchrun import torchrun

ROOT = Path(__file__).resolve().parents[2]
Asked = dict[str, Any]


@pytest.fixture(scope="session")
def shards(table: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of 700, 0, 1 and 599 rows: fourteen units of up to 100 rows."""
    folder = tmp_path_factory.mktemp("shards")
    for name, first, last in (("a", 0, 700), ("b", 700, 700), ("c", 700, 701), ("d", 701, 1300)):
        pq.write_table(table.slice(first, last - first), folder / f"{name}.parquet", row_group_size=100)
    return folder


@pytest.fixture
def whole(scorer: Scorer, shards: Path, tmp_path: Path) -> Path:
    """What one process writes."""
    scorer.chunking = CHUNKING
    predict(scorer, str(shards), tmp_path / "whole", **OPTIONS)
    return tmp_path / "whole"


@pytest.fixture
def asked(exported: Callable[[str], Path], shards: Path, tmp_path: Path) -> Asked:
    """A job for :mod:`tests.predict.rank_jobs`."""
    paths = {"export": exported("multi_tower_din"), "source": shards}
    paths |= {"output": tmp_path / "out", "ended": tmp_path / "ended"}
    return {name: str(path) for name, path in paths.items()}


def run_ranks(asked: Asked, size: int) -> dict[int, Asked]:
    """Runs ranks to their end without torchrun; how each of them ended."""
    for old in Path(asked["ended"]).glob("*.json"):
        old.unlink()
    ranks = start(asked, size)
    for rank in ranks:
        rank.join(90)
    assert all(rank.exitcode is not None for rank in ranks), "a rank hangs"
    return endings(asked)


def check_same(output: Path, whole: Path) -> None:
    report = verify(output)
    assert report.complete, report.problems
    assert part_hashes(output) == part_hashes(whole)
    assert (output / "_SUCCESS").read_bytes() == (whole / "_SUCCESS").read_bytes()
    assert not (output / "_recinfer" / "attempts").exists()


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_write_what_one_process_writes(size: int, asked: Asked, whole: Path) -> None:
    found = run_ranks(asked, size)
    check_same(Path(asked["output"]), whole)
    summary = found[0]["summary"]
    assert [found[rank]["summary"] for rank in range(1, size)] == [None] * (size - 1)
    assert (summary["ranks"], summary["rows_in"], summary["rows_scored"], summary["parts"]) == (size, 1300, 1300, 14)
    assert sum(each["rows_scored"] for each in summary["by_rank"]) == 1300
    assert sum(each["units"] for each in summary["by_rank"]) == 14


def test_the_command_under_torchrun(
    exported: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        pq.write_table(make_table(200, number), tmp_path / "in" / f"{number}.parquet")
    paths = ["--scripted_model_path", exported("deepfm"), "--predict_input_path", tmp_path / "in"]
    done = torchrun(2, "recinfer.predict", *map(str, paths), "--predict_output_path", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("done: 600 rows in = 600 out; 3 parts in") == 1
    assert done.stdout.count("processes  2; rank ") == 1
    assert done.stderr.count("scoring 600 rows of 3 files in 3 units: 2 processes, rank 0 with ") == 1
    # Fewer rows than a chunk's choice asks for: both take the default.
    monkeypatch.setattr(job, "choose_chunking", choose_chunking)
    predict(exported("deepfm"), str(tmp_path / "in"), tmp_path / "one")
    check_same(tmp_path / "out", tmp_path / "one")


@pytest.mark.parametrize("victim", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_rank_killed_under_torchrun(victim: int, asked: Asked, whole: Path) -> None:
    Path(asked["ended"]).mkdir()
    done = torchrun(3, "tests.predict.rank_jobs", json.dumps({**asked, "kill": [victim, 2], "pause": 0.1}))
    assert done.returncode != 0
    told = endings(asked)
    assert set(told) == {0, 1, 2} - {victim}
    # torchrun ends the others; one of them speaks.
    (said,) = [each["message"] for each in told.values() if each["kind"] == "RankError"]
    assert said.startswith(f"rank {victim} (pid ") and "was lost while it held unit " in said
    assert not Path(asked["output"], "_SUCCESS").exists()
    assert run_ranks(asked, 2)[0]["summary"]["rows_in"] == 1300
    check_same(Path(asked["output"]), whole)


def test_the_others_finish_what_a_killed_rank_leaves(asked: Asked, whole: Path, shards: Path) -> None:
    found = run_ranks({**asked, "kill": [1, 2], "pause": 0.03}, 3)
    assert set(found) == {0, 2}
    assert found[2]["kind"] == "ToldByOtherRankError"
    records = {int(path.stem) for path in Path(asked["output"], "_recinfer", "units").glob("*.json")}
    missing = sorted(set(range(14)) - records)
    # The unit at which it died, and the one before where that was not published yet.
    assert 1 <= len(missing) <= 2
    message = found[0]["message"]
    assert message.startswith("rank 1 (pid ") and message.endswith(f"; {14 - len(missing)} of 14 units are done")
    assert [f"unit {unit} ({shards}" in message for unit in range(14)] == [unit in missing for unit in range(14)]
    # One process alone goes on from there.
    predict(asked["export"], asked["source"], asked["output"], **OPTIONS)
    check_same(Path(asked["output"]), whole)


def test_one_process_begins_and_many_go_on(asked: Asked, whole: Path) -> None:
    output = Path(asked["output"])
    run_ranks({**asked, "kill": [0, 4]}, 2)
    left = 14 - len(list((output / "_recinfer" / "units").glob("*.json")))
    found = run_ranks(asked, 3)
    assert found[0]["summary"]["rows_scored"] <= left * 100
    check_same(output, whole)
    # And once more, where nothing is left.
    assert run_ranks(asked, 2)[0]["summary"]["already_complete"]
    check_same(output, whole)


def test_more_ranks_than_units_and_one_row_in_all(
    asked: Asked, scorer: Scorer, table: pa.Table, tmp_path: Path
) -> None:
    (tmp_path / "row").mkdir()
    pq.write_table(table.slice(5, 1), tmp_path / "row" / "a.parquet")
    pq.write_table(table.slice(0, 0), tmp_path / "row" / "b.parquet")
    predict(scorer, str(tmp_path / "row"), tmp_path / "whole", **OPTIONS)
    found = run_ranks({**asked, "source": str(tmp_path / "row")}, 3)
    assert (found[0]["summary"]["rows_in"], found[0]["summary"]["ranks"]) == (1, 3)
    assert found[1]["summary"] is None and found[2]["summary"] is None
    check_same(Path(asked["output"]), tmp_path / "whole")


def test_csv_and_bad_rows_count_together(asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "csv").mkdir()
    flat = make_table(400, 3, nulls=0.0).select(["row_id", "code", "user_id", "movie_id", "age", "rating"])
    users = flat["user_id"].to_pylist()
    for row in (7, 150, 390):
        users[row] = 10**6
    flat = flat.set_column(2, "user_id", pa.array(users))
    schema = make_table(1, 3).schema
    for name in schema.names:
        if name not in flat.schema.names:
            flat = flat.append_column(name, pa.array([None] * 400, pa.string()))
    for first in range(0, 400, 100):
        pc.write_csv(flat.slice(first, 100), tmp_path / "csv" / f"{first}.csv")
    options = {"quarantine": True, "max_bad_rows": 2, "reserved_columns": ["row_id"]}
    job = {**asked, "source": str(tmp_path / "csv"), "options": options}
    found = run_ranks(job, 2)
    assert found[0]["kind"] == "BadRowError", found
    assert "more than --max-bad-rows 2" in found[0]["message"]
    found = run_ranks({**job, "options": {**options, "max_bad_rows": 3}, "output": str(tmp_path / "more")}, 2)
    assert found[0]["summary"]["quarantined"] == 3
    kept = read_parts(tmp_path / "more")["row_id"].to_pylist()
    assert sorted(kept) == sorted(set(range(400)) - {7, 150, 390})


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        ({"hide": [1]}, "InputError", r"rank 1 \(pid .*does not see the input as rank 0 does: .*a.parquet"),
        ({"hide": [0]}, "InputError", "input '.*' does not exist"),
        ({"torch": {"1": "1.0"}}, "RankError", "torch: 2.* on rank 0; 1.0 on rank 1"),
        ({"export": "/nowhere"}, "ModelError", "/nowhere does not exist"),
    ],
)
def test_what_does_not_fit_is_said_once_by_rank_0(fault: Asked, kind: str, said: str, asked: Asked) -> None:
    found = run_ranks({**asked, **fault}, 2)
    assert found[0]["kind"] == kind
    assert re.search(said, found[0]["message"], re.DOTALL), found[0]["message"]
    assert found[1]["kind"] == "ToldByOtherRankError"
    assert not list(Path(asked["output"]).glob("part-*"))


def test_a_bad_row_ends_the_job_and_names_the_rank(asked: Asked, table: pa.Table, tmp_path: Path) -> None:
    users = table["user_id"].to_pylist()
    users[1234] = 10**6
    (tmp_path / "bad").mkdir()
    column = table.schema.get_field_index("user_id")
    bad = table.set_column(column, "user_id", pa.array(users, pa.int64()))
    pq.write_table(bad, tmp_path / "bad" / "a.parquet", row_group_size=100)
    found = run_ranks({**asked, "source": str(tmp_path / "bad")}, 2)
    assert found[0]["kind"] == "BadRowError"
    assert "id 1000000 is outside its table of 50 rows, in row 1235" in found[0]["message"]
    assert found[1]["kind"] == "ToldByOtherRankError"
    assert not Path(asked["output"], "_SUCCESS").exists()


def test_a_job_waits_for_the_last_process_of_the_one_before(asked: Asked, scorer: Scorer) -> None:
    run_ranks({**asked, "kill": [0, 2]}, 2)
    lock = MemberLock(Path(asked["output"], "_recinfer", "attempts", "members"))
    with pytest.raises(OutputError, match="processes of the last job on it are about to end"):
        predict(scorer, asked["source"], asked["output"], **OPTIONS)
    lock.release()
    predict(scorer, asked["source"], asked["output"], **OPTIONS)
    assert verify(asked["output"]).complete
