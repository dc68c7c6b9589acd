"""``recinfer validate``."""

from __future__ import annotations

import json
import re
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


def test_problems_of_config_and_data_together(run: Run, config: Path, rows: Path) -> None:
    pq.write_table(pq.read_table(rows).drop_columns(["rating", "genres"]), rows)
    # A feature that cannot be built hides no other: `genres` is broken, and `rating` is missing.
    edits = ("-o", "data_config.batch_size=0", "-o", "feature_configs[2].id_feature.fg_encoded_default_value=x")
    result = run("validate", config, "--data", rows, *edits, "--json")
    found = {(problem["where"], problem["what"]) for problem in json.loads(result.stdout)["problems"]}
    assert (str(rows), "input has no column 'rating'") in found
    assert any("batch_size" in what for _, what in found) and any("genres" in where for where, _ in found)
    assert result.exit_code == 3
    result = run("validate", config, "--data", rows.with_name("none"), *edits)
    assert result.exit_code == 3
    assert "batch_size" in result.stdout and "none' does not exist" in result.stdout


def test_columns_beside_the_features(run: Run, config: Path, rows: Path) -> None:
    edits = (
        "data_config.label_fields=[genres]",
        "data_config.sample_weight_fields=[weight]",
        'model_config.metrics[0]={ grouped_auc { grouping_key: "usr_id" } }',
        'model_config.losses[0]={ jrc_loss { session_name: "session" } }',
        "model_config.num_class=2",
    )
    result = run("validate", config, "--data", rows, *(word for edit in edits for word in ("-o", edit)), "--json")
    label, *missing = (problem["what"] for problem in json.loads(result.stdout)["problems"])
    assert re.fullmatch("label or weight column 'genres' holds list<.*>, not numbers", label)
    assert missing == [f"input has no column '{name}'" for name in ("weight", "usr_id", "session")]


def test_json_of_what_does_not_parse(run: Run, config: Path, rows: Path) -> None:
    missing = run("validate", config, "--data", rows.with_name("none"), "--json")
    config.write_text("data_config {")
    broken = run("validate", config, "--json")
    for result, code, where in ((missing, 4, str(rows.with_name("none"))), (broken, 3, str(config))):
        report = json.loads(result.stdout)
        assert (result.exit_code, report["ok"]) == (code, False)
        assert [problem["where"] for problem in report["problems"]] == [where]
