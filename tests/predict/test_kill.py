"""Runs that die by SIGKILL and are started again give, row for row and byte for byte, what one run gives."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recinfer.main import verify
from tests.predict.conftest import part_hashes, read_parts
from tests.predict.jobs import start
from tests.synthetic import make_table

OPTIONS = {"unit_rows": 2000, "batch_size": 512, "predict_threads": 2, "reserved_columns": ["row_id", "code"]}


def write_rows(folder: Path, rows: int) -> Path:
    """A table of many rows, cheaply: 5000 random ones again and again, each with a ``row_id`` of its own."""
    block = make_table(5000, 21)
    folder.mkdir()
    for first in range(0, rows, 25_000):
        table = pa.concat_tables([block] * 5).set_column(0, "row_id", pa.array(range(first, first + 25_000)))
        pq.write_table(table, folder / f"{first:09d}.parquet", row_group_size=1000)
    return folder


def run_whole(export: Path, source: Path, output: Path) -> None:
    process = start(export, source, output, OPTIONS)
    process.join()
    assert process.exitcode == 0


def kill_often(export: Path, source: Path, output: Path, kills: int, units: int, seed: int) -> None:
    """Starts a job again and again, each time killing it a few published units and some milliseconds later."""
    moments = random.Random(seed)
    records = output / "_recinfer" / "units"

    def published() -> int:
        return len(list(records.glob("*.json"))) if records.exists() else 0

    for kill in range(kills):
        process = start(export, source, output, OPTIONS)
        # Spread over the whole run, so that no job ends before it is killed.
        wanted = published() + moments.randint(0, max((units - published()) // (kills - kill + 1) - 2, 0))
        while process.is_alive() and published() < wanted:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.05))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert not (output / "_SUCCESS").exists() and not verify(output).complete
    assert 0 < published() < units


def check_equal(output: Path, whole: Path, rows: int) -> None:
    report = verify(output)
    assert report.complete, report.problems
    found = read_parts(output)
    assert found["row_id"].to_pylist() == list(range(rows))
    assert found.equals(read_parts(whole))
    assert part_hashes(output) == part_hashes(whole)
    assert not (output / "_recinfer" / "attempts").exists()


def killed_and_resumed(export: Path, folder: Path, rows: int, kills: int, seed: int) -> None:
    source = write_rows(folder / "in", rows)
    run_whole(export, source, folder / "whole")
    kill_often(export, source, folder / "out", kills, rows // 2000, seed)
    run_whole(export, source, folder / "out")
    check_equal(folder / "out", folder / "whole", rows)


def test_killed_three_times(exported: Callable[[str], Path], tmp_path: Path) -> None:
    killed_and_resumed(exported("multi_tower_din"), tmp_path, rows=100_000, kills=3, seed=1)


@pytest.mark.slow
def test_killed_fifty_times(exported: Callable[[str], Path], tmp_path: Path) -> None:
    killed_and_resumed(exported("multi_tower_din"), tmp_path, rows=1_000_000, kills=50, seed=2)
