"""Processes that share a model's tables write what one process writes, to rounding; whichever of them fails."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.protobuf import text_format

from recinfer.main import predict, verify
from recinfer.main.checkpoint_model import find_checkpoint_model
from recinfer.train.checkpoint import Position, TrainState, save
from recinfer.train.learner import ModelHolder
from tests.predict.rank_jobs import endings
from tests.predict.sharded_jobs import OPTIONS, start
from tests.predict.sharded_models import cases
from tests.synthetic import config_of, make_table, model_of
from tests.torchrun import torchrun

ROOT = Path(__file__).resolve().parents[2]
Asked = dict[str, Any]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config with two checkpoints, of which the first is another model."""
    folder = tmp_path_factory.mktemp("model")
    made = config_of("multi_tower_din")
    made.model_dir = str(folder)
    made.train_config.global_embedding_constraints.sharding_types.append("row_wise")
    (folder / "pipeline.config").write_text(text_format.MessageToString(made))
    for step in (1, 2):
        save(TrainState(ModelHolder(model_of(made, step)[0])), Position(step), folder)
    return folder / "pipeline.config"


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of 700, 0, 1 and 599 rows: fourteen units of up to 100 rows."""
    folder, table = tmp_path_factory.mktemp("shards"), make_table(1300, 11)
    for name, first, last in (("a", 0, 700), ("b", 700, 700), ("c", 700, 701), ("d", 701, 1300)):
        pq.write_table(table.slice(first, last - first), folder / f"{name}.parquet", row_group_size=100)
    return folder


@pytest.fixture(scope="module")
def whole(config: Path, shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process writes."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    predict(find_checkpoint_model(config).load_scorer(), str(shards), folder, **OPTIONS)
    return folder


@pytest.fixture
def asked(config: Path, shards: Path, tmp_path: Path) -> Asked:
    """A job for :mod:`tests.predict.sharded_jobs`."""
    paths = {"config": config, "source": shards, "output": tmp_path / "out", "ended": tmp_path / "ended"}
    return {name: str(path) for name, path in paths.items()}


def run_ranks(asked: Asked, size: int, seconds: float = 60.0) -> dict[int, Asked]:
    """Runs ranks to their end without torchrun; how each of them ended."""
    for old in Path(asked["ended"]).glob("*.json"):
        old.unlink()
    ranks, until = start(asked, size), time.monotonic() + seconds
    for rank in ranks:
        rank.join(max(until - time.monotonic(), 0.0))
    hanging = [number for number, rank in enumerate(ranks) if rank.exitcode is None]
    for number in hanging:
        ranks[number].kill()
    assert not hanging, f"ranks {hanging} hang"
    return endings(asked)


def check_same(output: Path, whole: Path) -> None:
    report = verify(output)
    assert report.complete, report.problems
    names = [path.name for path in sorted(whole.glob("part-*"))]
    assert [path.name for path in sorted(output.glob("part-*"))] == names
    for name in names:
        found, expected = pq.read_table(output / name), pq.read_table(whole / name)
        assert found.schema.equals(expected.schema)
        for column in ("row_id", "code"):
            assert found[column].equals(expected[column])
        for column in ("logits", "probs"):
            np.testing.assert_allclose(found[column].to_numpy(), expected[column].to_numpy(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_write_what_one_process_writes(size: int, asked: Asked, whole: Path) -> None:
    # Each of three may have but one batch in flight: its last step must come out before the next batch is read.
    found = run_ranks(asked if size == 2 else {**asked, "in_flight": 1}, size)
    summary = found[0]["summary"]
    assert (summary["ranks"], summary["rows_in"], summary["rows_scored"], summary["parts"]) == (size, 1300, 1300, 14)
    assert sum(each["units"] for each in summary["by_rank"]) == 14
    check_same(Path(asked["output"]), whole)
    assert {row["sharding"] for row in found[0]["plan"]} == {"row_wise"}
    assert all(len(row["bytes"]) == size for row in found[0]["plan"])


def test_the_command_under_torchrun(asked: Asked, whole: Path) -> None:
    paths = ["--pipeline_config", asked["config"], "--predict_input_path", asked["source"]]
    more = ["--predict_output_path", asked["output"], "--reserved_columns", "row_id", "--checkpoint_path", "latest"]
    done = torchrun(2, "recinfer.predict", *paths, *more)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("done: 1,300 rows in = 1,300 out; 3 parts in") == 1
    assert done.stderr.count("7 tables; at most ") == 1
    assert done.stderr.count("row_wise") == 7
    lines = [line for line in done.stderr.splitlines() if "Warning" in line or "WARNING" in line]
    assert not lines
    found = pa.concat_tables([pq.read_table(path) for path in sorted(Path(asked["output"]).glob("part-*"))])
    expected = pa.concat_tables([pq.read_table(path) for path in sorted(whole.glob("part-*"))])
    assert found["row_id"].to_pylist() == expected["row_id"].to_pylist()
    np.testing.assert_allclose(found["probs"].to_numpy(), expected["probs"].to_numpy(), rtol=1e-6, atol=1e-6)


def test_a_killed_rank_is_named_and_any_number_of_ranks_goes_on(asked: Asked, whole: Path) -> None:
    found = run_ranks({**asked, "kill": [1, 4]}, 3)
    assert set(found) == {0, 2}
    assert (found[0]["kind"], found[2]["kind"]) == ("RankError", "ToldByOtherRankError")
    said = found[0]["message"]
    assert said.startswith("rank 1 (pid ") and " was lost while it held unit " in said
    assert not Path(asked["output"], "_SUCCESS").exists()
    left = 14 - len(list(Path(asked["output"], "_recinfer", "units").glob("*.json")))
    assert left
    summary = run_ranks(asked, 2)[0]["summary"]
    assert summary["rows_in"] == 1300 and summary["rows_scored"] <= left * 100
    check_same(Path(asked["output"]), whole)


@pytest.mark.slow
def test_where_rank_0_is_killed_one_of_the_others_speaks(asked: Asked) -> None:
    Path(asked["ended"]).mkdir()
    done = torchrun(3, "tests.predict.sharded_jobs", json.dumps({**asked, "kill": [0, 4]}))
    assert done.returncode != 0
    found = endings(asked)
    assert set(found) == {1, 2}
    (said,) = [each["message"] for each in found.values() if each["kind"] == "RankError"]
    assert said.startswith("rank 0 (pid ") and " was lost while it held unit " in said


def test_what_fails_in_a_step_is_told_by_rank_0_and_one_process_goes_on(asked: Asked, whole: Path) -> None:
    found = run_ranks({**asked, "fail": [1, 3]}, 2, seconds=30)
    assert found[0]["kind"] == "StageError"
    assert found[0]["message"].startswith("rank 1 (pid ")
    assert "ValueError('a fault of the model')" in found[0]["message"]
    assert found[1]["kind"] == "ToldByOtherRankError"
    predict(find_checkpoint_model(asked["config"]).load_scorer(), asked["source"], asked["output"], **OPTIONS)
    check_same(Path(asked["output"]), whole)


def test_a_bad_row_ends_the_job_and_names_the_rank(asked: Asked, tmp_path: Path) -> None:
    table = make_table(1300, 11)
    users = table["user_id"].to_pylist()
    users[1234] = 10**6
    (tmp_path / "bad").mkdir()
    bad = table.set_column(table.schema.get_field_index("user_id"), "user_id", pa.array(users, pa.int64()))
    pq.write_table(bad, tmp_path / "bad" / "a.parquet", row_group_size=100)
    bad_job = {**asked, "source": str(tmp_path / "bad")}
    found = run_ranks(bad_job, 2, seconds=30)
    assert found[0]["kind"] == "BadRowError"
    assert "id 1000000 is outside its table of 50 rows, in row 1235" in found[0]["message"]
    assert found[1]["kind"] == "ToldByOtherRankError"
    aside = run_ranks({**bad_job, "options": {"quarantine": True}, "output": str(tmp_path / "aside")}, 2)
    assert (aside[0]["summary"]["quarantined"], aside[0]["summary"]["rows_out"]) == (1, 1299)


def test_more_ranks_than_rows(asked: Asked, tmp_path: Path, config: Path) -> None:
    (tmp_path / "row").mkdir()
    pq.write_table(make_table(1, 11), tmp_path / "row" / "a.parquet")
    predict(find_checkpoint_model(config).load_scorer(), str(tmp_path / "row"), tmp_path / "one", **OPTIONS)
    found = run_ranks({**asked, "source": str(tmp_path / "row")}, 3)
    assert (found[0]["summary"]["rows_in"], found[0]["summary"]["ranks"]) == (1, 3)
    check_same(Path(asked["output"]), tmp_path / "one")


@pytest.mark.slow
def test_sigterm_ends_all_ranks_with_what_they_have_in_hand_done(asked: Asked, whole: Path) -> None:
    found = run_ranks({**asked, "terminate": [1, 3]}, 2)
    assert found[0]["kind"] == "RankError"
    assert found[0]["message"] == "stopped by SIGTERM; nothing that was done is lost"
    records = [json.loads(path.read_text()) for path in Path(asked["output"], "_recinfer", "units").glob("*.json")]
    assert 1 <= len(records) < 14
    left = 1300 - sum(record["rows"] for record in records)
    assert run_ranks(asked, 3)[0]["summary"]["rows_scored"] == left
    check_same(Path(asked["output"]), whole)


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        ({"torch": {"1": "1.0"}}, "RankError", "torch: 2.* on rank 0; 1.0 on rank 1"),
        ({"checkpoints": {"1": "/nowhere"}}, "ModelError", r"rank 1 \(pid .*/nowhere"),
        ({"die_building": 1}, "RankError", r"rank 1 \(pid .* was lost before it was ready"),
        ({"environment": {"GLOO_SOCKET_IFNAME": "none"}}, "RankError", "cannot be connected with the others"),
    ],
    ids=["versions", "checkpoint", "dies", "no network"],
)
def test_what_does_not_fit_is_said_once_by_rank_0(fault: Asked, kind: str, said: str, asked: Asked) -> None:
    found = run_ranks({**asked, **fault}, 2, seconds=60)
    assert found[0]["kind"] == kind, found
    assert re.search(said, found[0]["message"], re.DOTALL), found[0]["message"]
    assert all(each["kind"] == "ToldByOtherRankError" for rank, each in found.items() if rank)
    assert not list(Path(asked["output"]).glob("part-*"))


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, Any]]:
    """What :mod:`tests.predict.sharded_models` found, by case and rank."""
    folder = tmp_path_factory.mktemp("models")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'scripts'}"}
    command = [sys.executable, "-m", "tests.predict.sharded_models", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, timeout=200)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, dict[int, Any]] = {}
    for path in folder.glob("*.json"):
        name, _, rank = path.stem.rpartition("-")
        found.setdefault(name, {})[int(rank)] = json.loads(path.read_text())
    return found


@pytest.mark.parametrize("name", list(cases()))
def test_every_model_scores_sharded_as_it_does_plain(name: str, scored: dict[str, dict[int, Any]]) -> None:
    # Some units in the last place of float32: products of other sizes add in another order on some processors.
    assert all(each["worst"] <= 4e-6 for each in scored[name].values())
    # Each rank got the scores of its own batches.
    assert {rank: each["batches"] for rank, each in scored[name].items()} == {0: [0], 1: [1, 2, 3]}
    kind = name.split()[-1]
    if kind in ("row_wise", "column_wise", "data_parallel"):
        assert kind in scored[name][0]["sharding"]
