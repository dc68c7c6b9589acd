"""``recinfer predict``, from a table to committed predictions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from click.testing import Result

import recinfer
from recinfer.predict import job

Exported = Callable[[str], Path]
Run = Callable[..., Result]


@pytest.fixture
def predict(run: Run, exported: Exported, rows: Path, tmp_path: Path) -> Run:
    """Runs ``recinfer predict`` on the DeepFM export; further flags are added."""

    def invoke(*flags: str | Path) -> Result:
        model, output = exported("deepfm"), tmp_path / "out"
        given = ("--scripted_model_path", model, "--predict_input_path", rows, "--predict_output_path", output)
        return run("predict", *given, "--predict_threads", "2", *flags)

    return invoke


def parts(folder: Path) -> pa.Table:
    return pa.concat_tables(pq.read_table(part) for part in sorted(folder.glob("part-*.parquet")))


def content(folder: Path) -> dict[str, bytes]:
    """Every file but the lock, which says who held it last."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_scores_every_row_in_order(predict: Run, exported: Exported, rows: Path, tmp_path: Path) -> None:
    result = predict("--reserved_columns", "row_id, code")
    assert result.exit_code == 0, result.stderr
    out, table = parts(tmp_path / "out"), pq.read_table(rows)
    assert out.schema.names == ["logits", "probs", "row_id", "code"]
    assert out.select(["row_id", "code"]).equals(table.select(["row_id", "code"]))
    expected = recinfer.load_scorer(exported("deepfm")).score(table)
    np.testing.assert_allclose(out["probs"].to_numpy(), expected["probs"].to_numpy(), atol=1e-6)


def test_the_summary_is_for_people(predict: Run, tmp_path: Path) -> None:
    result = predict()
    assert result.stdout.startswith(f"done: 300 rows in = 300 out; 1 part in {tmp_path / 'out'}\n")
    for said in ("rows/s", "start-up", "first batch", "2 threads, chunks of 1,024 rows", "at most", "score  ", "busy"):
        assert said in result.stdout, said
    assert result.stderr == "scoring 300 rows of 1 file in 1 unit: 2 scorer threads, chunks of 1,024 rows\n"


def test_json_is_the_only_thing_on_stdout(predict: Run, tmp_path: Path) -> None:
    summary = json.loads(predict("--json").stdout)
    assert summary["rows_in"] == summary["rows_out"] == summary["rows_scored"] == 300
    assert summary["threads"] == 2
    assert summary["output"] == str(tmp_path / "out")
    assert set(summary["stages"]) == {"read", "parse", "score", "write"}
    assert summary["rows_per_second"] > 0


def test_quiet_says_nothing(predict: Run) -> None:
    result = predict("--quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_runs_again_with_nothing_to_do(predict: Run, tmp_path: Path) -> None:
    predict()
    before = content(tmp_path / "out")
    result = predict()
    assert result.exit_code == 0
    assert result.stdout == f"nothing was left to do: 300 rows in = 300 out; 1 part in {tmp_path / 'out'}\n"
    assert content(tmp_path / "out") == before


def test_goes_on_where_it_was_stopped(
    predict: Run, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(pq.read_table(rows), rows, row_group_size=60)
    # Units of a row group each, as large tables have by themselves.
    monkeypatch.setattr(job.PredictOptions, "__init__", _with(job.PredictOptions.__init__, unit_rows=60))
    predict()
    whole = content(tmp_path / "out")
    for gone in ("_SUCCESS", "_recinfer/units/00001.json", "part-00003.parquet"):
        (tmp_path / "out" / gone).unlink()
    result = predict()
    assert "in 5 units, of which 3 were done earlier" in result.stderr
    assert "180 rows were there, 120 were scored now" in result.stdout
    assert content(tmp_path / "out") == whole


def _with(function: Callable[..., None], **extra: int) -> Callable[..., None]:
    return lambda *arguments, **keywords: function(*arguments, **{**keywords, **extra})


def test_no_resume_refuses_what_is_there(predict: Run) -> None:
    predict()
    result = predict("--no-resume")
    assert result.exit_code == 6
    assert "--overwrite replaces it" in result.stderr


def test_overwrite_replaces_other_output(predict: Run, tmp_path: Path) -> None:
    predict()
    assert predict("--output_columns", "probs").exit_code == 7
    assert predict("--output_columns", "probs", "--overwrite").exit_code == 0
    assert parts(tmp_path / "out").schema.names == ["probs"]


def test_csv_keeps_text_as_it_is(predict: Run, rows: Path, tmp_path: Path) -> None:
    assert predict("--writer-type", "CsvWriter", "--reserved-columns", "code").exit_code == 0
    (part,) = (tmp_path / "out").glob("part-*.csv")
    out = pc.read_csv(part, convert_options=pc.ConvertOptions(column_types={"code": pa.string()}))
    assert out["code"].to_pylist() == pq.read_table(rows)["code"].to_pylist()


def test_steps_limit_the_rows(predict: Run) -> None:
    summary = json.loads(predict("--predict_steps", "2", "--batch_size", "70", "--json").stdout)
    assert summary["rows_out"] == 140


def test_threads_come_from_the_environment(
    run: Run, exported: Exported, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECINFER_PREDICT_THREADS", "3")
    given = ("--scripted_model_path", exported("deepfm"), "--predict_input_path", rows, "--dry-run", "--json")
    assert json.loads(run("predict", *given).stdout)["threads"] == 3
    assert json.loads(run("predict", *given, "--predict_threads", "1").stdout)["threads"] == 1


def test_debug_shows_what_was_parsed(predict: Run, tmp_path: Path) -> None:
    assert predict("--debug_level", "1").exit_code == 0
    assert "parsed.movie_id" in parts(tmp_path / "out").schema.names


def test_a_profile_lies_beside_the_output(predict: Run, tmp_path: Path) -> None:
    result = predict("--is_profiling")
    assert result.exit_code == 0
    assert f"the profile is in {tmp_path / 'out.profile'}" in result.stdout
    trace = json.loads((tmp_path / "out.profile" / "trace.json").read_text())
    # What scorer threads did, not only the thread that began the trace.
    assert any("addmm" in event.get("name", "") for event in trace["traceEvents"])
    assert set(json.loads((tmp_path / "out.profile" / "stages.json").read_text())["stages"]) == {
        "read",
        "parse",
        "score",
        "write",
    }


def test_ctrl_c_leaves_what_can_be_resumed(predict: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(job, "run_pipeline", interrupted)
        result = predict()
    assert result.exit_code == 130
    assert "the same command goes on from here" in result.stderr
    assert not (tmp_path / "out" / "_SUCCESS").exists()
    assert predict().exit_code == 0
    assert parts(tmp_path / "out").num_rows == 300


@pytest.mark.parametrize("model", ["wide_and_deep", "multi_tower_din"])
def test_other_models(model: str, run: Run, exported: Exported, rows: Path, tmp_path: Path) -> None:
    given = ("--scripted_model_path", exported(model), "--predict_input_path", rows)
    result = run("predict", *given, "--predict_output_path", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert parts(tmp_path / "out").num_rows == 300
    assert (" steps" in result.stdout) == (model == "multi_tower_din")
