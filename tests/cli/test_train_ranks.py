"""``torchrun -m recinfer.train`` and ``-m recinfer.eval``: one model, one voice, and an end whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.torchrun import ROOT, command, kill_rank, torchrun
from tests.train.conftest import DIN, make_table


def write_config(folder: Path, table: pa.Table, **changes: Any) -> list[str]:
    """Writes rows and a config; gives the command's arguments."""
    pq.write_table(table, folder / "train.parquet", row_group_size=100)
    pq.write_table(make_table(151, 2), folder / "eval.parquet")
    text = DIN
    for old, new in (("train", "train.parquet"), ("eval", "eval.parquet"), ("unused", "model")):
        text = text.replace(f'"{old}"', f'"{folder / new}"', 1)
    (folder / "pipeline.config").write_text(text)
    overrides = [part for name, value in changes.items() for part in ("-o", f"train_config.{name}={value}")]
    return ["--pipeline_config_path", str(folder / "pipeline.config"), *overrides]


def test_ranks_train_and_measure_one_model(tmp_path: Path) -> None:
    arguments = write_config(tmp_path, make_table(400, 1))
    done = torchrun(2, "recinfer.train", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["step"], report["epoch"], report["rows"]) == (14, 2, 800)
    assert done.stderr.count("3 tables; at most ") == 1 and done.stderr.count("saved ") == 1
    measured = torchrun(3, "recinfer.eval", *arguments, "--json")
    assert measured.returncode == 0, measured.stderr
    assert json.loads(measured.stdout) == pytest.approx(report["metrics"], abs=1e-3)


def failed(done: subprocess.CompletedProcess[str]) -> str:
    """The only message of a job that failed."""
    assert done.returncode != 0
    (message,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return message


def test_a_bad_row_of_one_rank_is_told_once(tmp_path: Path) -> None:
    table = make_table(400, 1)
    labels = [None if row == 390 else label for row, label in enumerate(table["clicked"].to_pylist())]
    arguments = write_config(tmp_path, table.set_column(4, "clicked", pa.array(labels)))
    message = failed(torchrun(2, "recinfer.train", *arguments))
    assert message.startswith("error: rank 1 (pid ")
    assert f"label or weight column 'clicked' is null in row 391 of {tmp_path}/train.parquet" in message


@pytest.mark.slow
def test_more_ranks_than_rows(tmp_path: Path) -> None:
    arguments = write_config(tmp_path, make_table(2, 1))
    message = failed(torchrun(3, "recinfer.train", *arguments))
    assert message == "error: the training input has 2 rows for 3 ranks, and each needs one"


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_rank_ends_the_job_and_any_number_goes_on(tmp_path: Path, victim: int) -> None:
    arguments = write_config(tmp_path, make_table(4000, 1), num_epochs=200, save_checkpoints_steps=20)
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    job = subprocess.Popen(
        command(2, "recinfer.train", *arguments), cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
    assert job.stderr is not None
    seen = []
    for line in job.stderr:
        seen.append(line)
        if "saved " in line:
            break
    killed = kill_rank(job.pid, victim, signal.SIGKILL)
    _, rest = job.communicate(timeout=60)
    (message,) = [line for line in [*seen, *rest.splitlines()] if line.startswith("error: ")]
    assert f"rank {victim} (pid {killed} on " in message and "was lost during training" in message
    for size, epochs in ((3, 2), (1, 3)):
        overrides = ["-o", f"train_config.num_epochs={epochs}"]
        done = torchrun(size, "recinfer.train", *arguments, *overrides, "--json")
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert report["resumed_from"] and report["epoch"] == epochs
