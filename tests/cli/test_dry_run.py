"""``recinfer predict --dry-run``: says what would be done, and does not do it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result

import recinfer

Run = Callable[..., Result]


@pytest.fixture
def given(exported: Callable[[str], Path], rows: Path) -> tuple[str | Path, ...]:
    return ("--scripted_model_path", exported("deepfm"), "--predict_input_path", rows, "--predict_threads", "2")


def test_shows_the_plan_and_the_first_rows(
    run: Run, given: tuple[str | Path, ...], exported: Callable[[str], Path], rows: Path, tmp_path: Path
) -> None:
    result = run(
        "predict", *given, "--dry-run", "--predict_output_path", tmp_path / "out", "--reserved_columns", "code"
    )
    assert result.exit_code == 0, result.stderr
    for said in ("300 rows in 1 unit", "would be made", "probs: float", "code: string", "2 threads", "iB at most"):
        assert said in result.stdout, said
    table = pq.read_table(rows)
    expected = recinfer.load_scorer(exported("deepfm")).score(table)
    first = [line.split() for line in result.stdout.splitlines()[-6:-1]]
    for line, score, code in zip(first, expected["probs"].to_pylist(), table["code"].to_pylist(), strict=False):
        assert float(line[1]) == pytest.approx(score, abs=1e-5)
        assert line[2] == code
    assert not (tmp_path / "out").exists()


def test_needs_no_output(run: Run, given: tuple[str | Path, ...]) -> None:
    plan = json.loads(run("predict", *given, "--dry-run", "--json").stdout)
    assert plan["dry_run"] and plan["rows"] == 300 and plan["units"] == plan["files"] == 1
    assert plan["output"] is None
    assert plan["output_schema"] == {"logits": "float", "probs": "float"}
    assert len(plan["sample"]["first"]) == 5
    assert plan["memory_estimate_bytes"] == plan["resident_bytes"] + plan["in_flight_bytes"]


def test_says_what_a_run_would_do_with_the_folder(run: Run, given: tuple[str | Path, ...], tmp_path: Path) -> None:
    output = ("--predict_output_path", tmp_path / "out")

    def state(*flags: str) -> str:
        return str(json.loads(run("predict", *given, *output, "--dry-run", "--json", *flags).stdout)["output_state"])

    run("predict", *given, *output)
    assert state() == "complete already"
    assert "would be refused" in state("--output_columns", "probs")
    assert "would be replaced" in state("--output_columns", "probs", "--overwrite")
    (tmp_path / "out" / "_SUCCESS").unlink()
    assert state() == "begun, and would be continued"


def test_bad_rows_are_named(run: Run, given: tuple[str | Path, ...], rows: Path) -> None:
    table = pq.read_table(rows)
    ids = table["user_id"].to_pylist()
    ids[16] = 10**6
    position = table.schema.get_field_index("user_id")
    pq.write_table(table.set_column(position, "user_id", pa.array(ids)), rows)
    refused = run("predict", *given, "--dry-run")
    assert refused.exit_code == 5
    assert "in row 17" in refused.stderr
    kept = json.loads(run("predict", *given, "--dry-run", "--json", "--on-error", "quarantine").stdout)
    assert kept["sample"]["rows"] == 299
    assert [row["row"] for row in kept["sample"]["bad_rows"]] == [16]
