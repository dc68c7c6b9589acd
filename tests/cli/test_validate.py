"""``recinfer validate``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import Result

from recinfer.config.save import save_pipeline_config
from tests.synthetic import config_of

Run = Callable[..., Result]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "pipeline.config"
    save_pipeline_config(config_of("deepfm"), path)
    return path


def test_ok(run: Run, config: Path, rows: Path) -> None:
    assert run("validate", config).stdout == f"ok: {config}\n"
    assert run("validate", config, "--data", rows).stdout == f"ok: {config} fits {rows}\n"


def test_every_problem_of_a_config(run: Run, config: Path) -> None:
    edits = ("-o", "data_config.batch_size=0", "-o", "model_config.feature_groups[0].feature_names[0]=usr_id")
    result = run("validate", config, *edits)
    assert result.exit_code == 3
    assert result.stdout.startswith(f"{config}: 2 problems\n")
    assert "batch_size" in result.stdout and "usr_id" in result.stdout


def test_every_problem_of_data(run: Run, config: Path, rows: Path) -> None:
    pq.write_table(pq.read_table(rows).drop_columns(["rating", "liked", "tags"]), rows)
    result = run("validate", config, "--data", rows)
    assert result.exit_code == 4
    assert result.stdout.startswith(f"{rows}: 3 problems\n")
    for name in ("rating", "liked", "tags"):
        assert f"no column '{name}'" in result.stdout


def test_json(run: Run, config: Path, rows: Path) -> None:
    assert json.loads(run("validate", config, "--json").stdout) == {"ok": True, "problems": []}
    pq.write_table(pq.read_table(rows).drop_columns(["rating"]), rows)
    result = run("validate", config, "--data", rows, "--json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["ok"]) == (4, False)
    assert [problem["where"] for problem in report["problems"]] == [str(rows)]


def test_a_typo_has_its_place(run: Run, config: Path) -> None:
    text = config.read_text()
    config.write_text(text.replace("batch_size", "batch_sise", 1))
    result = run("validate", config)
    line = next(number for number, line in enumerate(config.read_text().splitlines(), 1) if "batch_sise" in line)
    assert result.exit_code == 3
    assert f"{config}:{line}:" in result.stderr
    assert "batch_size" in result.stderr


def test_paths_that_are_not_there(run: Run, config: Path, tmp_path: Path) -> None:
    assert run("validate", tmp_path / "none.config").exit_code == 3
    result = run("validate", config, "--data", tmp_path / "none.parquet")
    assert result.exit_code == 4
    assert "none.parquet" in result.stderr
