"""Jobs that die by SIGKILL, at random moments and at each single step, and are run again."""

from __future__ import annotations

import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from recinfer.data.table_copy import copy_table
from recinfer.data.verify import verify_output
from tests.data_room.jobs import count_steps, start
from tests.data_room.tables import mixed_table, read_parts, write_parquet

ROWS = 200_000
OPTIONS = {"target_rows": 5000, "batch_rows": 2000}


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("big")
    for number in range(4):
        write_parquet(folder / f"{number}.parquet", mixed_table(ROWS // 4, number), 2500)
    return folder


def kill_until_done(source: Path, output: Path, seed: int, kills: int) -> int:
    """Runs a job again and again, killing it at random moments; returns how often it was killed before it was done."""
    moments = random.Random(seed)
    killed = 0
    began = time.monotonic()
    process = start(source, output.with_name(f"{output.name}-whole"), OPTIONS)
    process.join()
    span = time.monotonic() - began
    while killed < kills:
        process = start(source, output, OPTIONS)
        process.join(moments.uniform(0, span / 2))
        process.kill()
        process.join()
        killed += process.exitcode == -signal.SIGKILL
        complete = (output / "_SUCCESS").exists()
        assert complete == verify_output(output).complete
        if complete:
            shutil.rmtree(output)
    process = start(source, output, OPTIONS)
    process.join()
    assert process.exitcode == 0
    return killed


def check_equal_to_input(source: Path, output: Path) -> None:
    whole = pa.concat_tables([mixed_table(ROWS // 4, number) for number in range(4)])
    assert read_parts(output).equals(whole)
    report = verify_output(output)
    assert report.complete, report.problems
    assert report.rows == ROWS and report.units == 40
    assert not (output / "_recinfer" / "attempts").exists()
    straight = output.with_name(f"{output.name}-whole")
    for part in sorted(straight.glob("part-*")):
        assert (output / part.name).read_bytes() == part.read_bytes()


def test_killed_at_random_moments(big: Path, tmp_path: Path) -> None:
    assert kill_until_done(big, tmp_path / "out", seed=7, kills=3) == 3
    check_equal_to_input(big, tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_killed_at_many_random_moments(big: Path, tmp_path: Path, seed: int) -> None:
    assert kill_until_done(big, tmp_path / "out", seed=100 + seed, kills=6) == 6
    check_equal_to_input(big, tmp_path / "out")


OLD, NEW = mixed_table(60, 1), mixed_table(90, 2)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("small")
    return {
        "old": write_parquet(folder / "old.parquet", OLD, 30),
        "new": write_parquet(folder / "new.parquet", NEW, 45),
        "out": copied(folder / "old.parquet", folder / "out", 30),
    }


def copied(source: Path, output: Path, target_rows: int) -> Path:
    copy_table(str(source), output, target_rows=target_rows)
    return output


def test_killed_at_each_step_of_a_fresh_run(small: dict[str, Path], tmp_path: Path) -> None:
    options: dict[str, Any] = {"target_rows": 45}
    steps = count_steps(small["new"], tmp_path / "whole", options)
    assert steps > 20
    for step in range(steps):
        output = tmp_path / f"out{step}"
        process = start(small["new"], output, options, kill_at=step)
        process.join()
        assert process.exitcode == -signal.SIGKILL, step
        assert (output / "_SUCCESS").exists() == verify_output(output).complete, step
        totals = copy_table(str(small["new"]), output, target_rows=45)
        assert totals.rows == 90 and verify_output(output).complete, step
        assert read_parts(output).equals(NEW), step


@pytest.mark.parametrize("exchange", [True, False])
def test_killed_at_each_step_of_an_overwriting_run(small: dict[str, Path], tmp_path: Path, exchange: bool) -> None:
    options: dict[str, Any] = {"target_rows": 45, "overwrite": True}
    shutil.copytree(small["out"], tmp_path / "whole")
    steps = count_steps(small["new"], tmp_path / "whole", options, exchange)
    assert read_parts(tmp_path / "whole").equals(NEW)
    seen = set()
    for step in range(steps):
        output = tmp_path / str(step) / "out"
        shutil.copytree(small["out"], output)
        process = start(small["new"], output, options, kill_at=step, exchange=exchange)
        process.join()
        assert process.exitcode == -signal.SIGKILL, step
        if output.exists():
            assert verify_output(output).complete, step
            held = read_parts(output)
            assert held.equals(OLD) or held.equals(NEW), step
            seen.add("old" if held.equals(OLD) else "new")
        else:
            # Two renames cannot be one: the next run puts the new output in place before anything else.
            assert not exchange and verify_output(output.with_name("out.recinfer-new")).complete, step
            seen.add("between")
        copy_table(str(small["new"]), output, target_rows=45, overwrite=True)
        assert read_parts(output).equals(NEW) and verify_output(output).complete, step
        assert [path.name for path in output.parent.iterdir()] == ["out"], step
    assert seen == ({"old", "new"} if exchange else {"old", "between", "new"})


def test_a_plain_run_ends_a_swap_that_was_cut_between_renames(small: dict[str, Path], tmp_path: Path) -> None:
    options: dict[str, Any] = {"target_rows": 45, "overwrite": True}
    shutil.copytree(small["out"], tmp_path / "whole")
    for step in reversed(range(count_steps(small["new"], tmp_path / "whole", options, exchange=False))):
        output = tmp_path / str(step) / "out"
        shutil.copytree(small["out"], output)
        start(small["new"], output, options, kill_at=step, exchange=False).join()
        if not output.exists():
            break
    else:
        pytest.fail("no step lies between the renames")
    assert copy_table(str(small["new"]), output, target_rows=45).already_complete
    assert read_parts(output).equals(NEW)
    assert [path.name for path in output.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_killed_again_and_again_while_overwriting(
    small: dict[str, Path], tmp_path: Path, exchange: bool, seed: int
) -> None:
    output = tmp_path / "out"
    shutil.copytree(small["out"], output)
    steps = random.Random(seed)
    for _ in range(200):
        options: dict[str, Any] = {"target_rows": 45, "overwrite": True}
        process = start(small["new"], output, options, kill_at=steps.randrange(25), exchange=exchange)
        process.join()
        held = output if output.exists() else output.with_name("out.recinfer-new")
        assert verify_output(held).complete
        assert read_parts(held).equals(OLD) or read_parts(held).equals(NEW)
        if process.exitcode == 0:
            break
    assert process.exitcode == 0 and read_parts(output).equals(NEW)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
