"""``recinfer verify``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import Result

from recinfer.cli.verify import SHOWN
from recinfer.data.table_copy import copy_table
from tests.synthetic import make_table

Run = Callable[..., Result]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """A complete output of 40 parts; what wrote it does not matter to verify."""
    pq.write_table(make_table(400, 2).select(["row_id", "code"]), tmp_path / "rows.parquet", row_group_size=10)
    copy_table(str(tmp_path / "rows.parquet"), tmp_path / "out", target_rows=10)
    return tmp_path / "out"


def test_complete(run: Run, output: Path) -> None:
    result = run("verify", output)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{output} is complete: 400 rows in 40 parts, ")


def test_complete_as_json(run: Run, output: Path) -> None:
    report = json.loads(run("verify", output, "--json").stdout)
    assert report["complete"] and report["problems"] == []
    assert (report["rows"], report["parts"], report["path"]) == (400, 40, str(output))


def test_what_is_missing(run: Run, output: Path) -> None:
    (output / "part-00007.parquet").unlink()
    (output / "part-00009.parquet").write_bytes(b"rubbish")
    result = run("verify", output)
    assert (result.exit_code, result.stdout) == (11, "")
    for said in ("2 problems", "part-00007.parquet is missing", "part-00009.parquet has 7 bytes", "hint: run the same"):
        assert said in result.stderr
    as_json = run("verify", output, "--json")
    assert as_json.exit_code == 11
    assert json.loads(as_json.stdout)["complete"] is False
    assert len(json.loads(as_json.stdout)["problems"]) == 2


def test_long_lists_are_cut(run: Run, output: Path) -> None:
    for part in output.glob("part-*"):
        part.unlink()
    result = run("verify", output)
    assert result.stderr.count(" is missing") == SHOWN
    assert f"and {40 - SHOWN} more; --json shows all" in result.stderr


@pytest.mark.parametrize("name", ["", "none"])
def test_folders_of_something_else(name: str, run: Run, tmp_path: Path) -> None:
    result = run("verify", tmp_path / name)
    assert result.exit_code == 11
    assert "is no output of recinfer" in result.stderr
    assert "--predict_output_path" in result.stderr
