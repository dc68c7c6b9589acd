"""What a user can get wrong: each ends with one clear message, its exit code, and no complete-looking folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result

from tests.synthetic import make_table

Run = Callable[..., Result]
Change = Callable[[pa.Table], pa.Table]


@pytest.fixture
def predict(run: Run, exported: Callable[[str], Path], rows: Path, tmp_path: Path) -> Run:
    """Runs ``recinfer predict``; a flag that is given again wins."""

    def invoke(*flags: str | Path) -> Result:
        model, output = exported("deepfm"), tmp_path / "out"
        given = ("--scripted_model_path", model, "--predict_input_path", rows, "--predict_output_path", output)
        return run("predict", *given, *flags)

    return invoke


def refused(result: Result, code: int, *said: str) -> None:
    """One message, its exit code, nothing on stdout, no traceback."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert result.stderr.lower().count("error: ") == 1
    for words in said:
        assert words in result.stderr


def replaced(name: str, values: pa.Array) -> Change:
    return lambda table: table.set_column(table.schema.get_field_index(name), name, values)


TABLES: dict[str, tuple[Change, int, tuple[str, ...]]] = {
    "missing column": (
        lambda table: table.rename_columns(["userid" if name == "user_id" else name for name in table.column_names]),
        4,
        ("'user_id'", "did you mean 'userid'?"),
    ),
    "several problems at once": (
        lambda table: table.drop_columns(["rating", "tags"]),
        4,
        ("2 problems", "'rating'", "'tags'"),
    ),
    "wrong type": (replaced("user_id", pa.array([1.5] * 300)), 4, ("'user_id'", "double")),
    "no rows": (lambda table: table.slice(0, 0), 4, ("has no rows",)),
    "id outside its table": (replaced("user_id", pa.array([1] * 299 + [50])), 5, ("'user_id'", "50", "in row 300")),
    "negative id": (replaced("user_id", pa.array([1] * 299 + [-1])), 5, ("'user_id'", "-1", "in row 300")),
}


@pytest.mark.parametrize("case", TABLES)
def test_tables(case: str, predict: Run, rows: Path, tmp_path: Path) -> None:
    change, code, said = TABLES[case]
    pq.write_table(change(pq.read_table(rows)), rows)
    refused(predict(), code, *said)
    assert not (tmp_path / "out" / "_SUCCESS").exists()


@pytest.mark.parametrize("keep", [0, 3, 0.5, 0.99])
def test_truncated_files(keep: float, predict: Run, rows: Path) -> None:
    whole = rows.read_bytes()
    rows.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    refused(predict(), 4, str(rows), "write it again")


def test_a_file_damaged_inside(predict: Run, rows: Path, tmp_path: Path) -> None:
    whole = bytearray(rows.read_bytes())
    middle = slice(100, len(whole) * 3 // 4)
    whole[middle] = bytes(len(whole[middle]))
    rows.write_bytes(bytes(whole))
    refused(predict(), 4, str(rows))
    assert not (tmp_path / "out" / "_SUCCESS").exists()


def test_inputs_that_are_not_there(predict: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(predict("--predict_input_path", tmp_path / "none.parquet"), 4, "none.parquet")
    refused(predict("--predict_input_path", tmp_path / "empty"), 4, "empty")
    refused(predict("--predict_input_path", tmp_path / "*.csv"), 4, "*.csv")


def test_outputs_that_cannot_be(predict: Run, rows: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    refused(predict("--predict_output_path", tmp_path / "file"), 6, "is a file")
    refused(predict("--predict_output_path", tmp_path / "file" / "below"), 6, "part of the path is a file")
    refused(predict("--predict_output_path", tmp_path / "mine"), 6, "thesis.txt")
    refused(predict("--predict_output_path", tmp_path / "mine", "--overwrite"), 6, "thesis.txt")
    refused(predict("--predict_output_path", "s3://bucket/key"), 6, "s3://bucket/key")
    assert (tmp_path / "file").read_text() == (tmp_path / "mine" / "thesis.txt").read_text() == "mine"


def test_an_output_inside_the_input(predict: Run, rows: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    rows.rename(tmp_path / "data" / "rows.parquet")
    result = predict("--predict_input_path", tmp_path / "data", "--predict_output_path", tmp_path / "data" / "out")
    refused(result, 6, "lies in the input")


def test_models_that_are_none(predict: Run, exported: Callable[[str], Path], tmp_path: Path) -> None:
    foreign, damaged = tmp_path / "foreign", tmp_path / "damaged"
    foreign.mkdir()
    (foreign / "readme.txt").write_text("hello")
    damaged.mkdir()
    for path in exported("deepfm").iterdir():
        (damaged / path.name).write_bytes(path.read_bytes())
    (damaged / "scripted_model.pt").write_bytes(b"no model")
    refused(predict("--scripted_model_path", tmp_path / "none"), 8, "does not exist")
    refused(predict("--scripted_model_path", foreign), 8, "readme.txt")
    refused(predict("--scripted_model_path", damaged), 8, "scripted_model.pt")
    (damaged / "recinfer.json").unlink()
    refused(predict("--scripted_model_path", damaged), 8, "scripted_model.pt")
    (damaged / "scripted_model.pt").unlink()
    (damaged / "model.ckpt-1").mkdir()
    refused(predict("--scripted_model_path", damaged / "model.ckpt-1"), 8, "model.ckpt-1")


def test_input_that_changed_since_the_plan(predict: Run, rows: Path, tmp_path: Path) -> None:
    predict()
    pq.write_table(make_table(301, 2), rows)
    refused(predict(), 7, f"input file changed: {rows}", "--overwrite")
    assert json.loads((tmp_path / "out" / "_SUCCESS").read_text())["rows_in"] == 300


FLAGS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "misspelt": (("--predict_thread", "2"), ("--predict_threads",)),
    "unknown": (("--zzzz",), ("--zzzz",)),
    "zero threads": (("--predict_threads", "0"), ("--predict_threads", "x>=1")),
    "no number": (("--batch_size", "many"), ("--batch_size", "many")),
    "unknown writer": (("--writer_type", "OdpsWriter"), ("ParquetWriter", "CsvWriter")),
    "unknown policy": (("--on-error", "skip"), ("quarantine",)),
    "limit without quarantine": (("--max-bad-rows", "3"), ("--on-error quarantine",)),
    "unknown column": (("--reserved_columns", "cod"), ("'cod'", "did you mean 'code'?")),
    "unknown prediction": (("--output_columns", "prob"), ("'prob'", "did you mean 'probs'?")),
    "empty name": (("--reserved_columns", "code,,row_id"), ("empty name",)),
}


@pytest.mark.parametrize("case", FLAGS)
def test_flags(case: str, predict: Run, tmp_path: Path) -> None:
    flags, said = FLAGS[case]
    refused(predict(*flags), 2, *said)
    assert not (tmp_path / "out").exists()


def test_an_output_is_needed(run: Run, exported: Callable[[str], Path], rows: Path) -> None:
    result = run("predict", "--scripted_model_path", exported("deepfm"), "--predict_input_path", rows)
    refused(result, 2, "--predict_output_path")


def test_variables_of_the_wrong_type(predict: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECINFER_PREDICT_THREADS", "many")
    refused(predict(), 2, "RECINFER_PREDICT_THREADS='many'")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(predict: Run, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    refused(predict("--predict_output_path", tmp_path / "locked" / "out"), 6, "locked")


# 3,000 rows, so that bad rows lie in the sample that the chunk is chosen on, and beyond it.
BAD = [5, 1700, 2999]


@pytest.fixture
def bad_rows(rows: Path) -> Path:
    table = make_table(3000, 3)
    ids = table["user_id"].to_pylist()
    for row in BAD:
        ids[row] = 10**9
    pq.write_table(replaced("user_id", pa.array(ids))(table), rows)
    return rows


def test_bad_rows_are_put_aside(predict: Run, bad_rows: Path, tmp_path: Path) -> None:
    result = predict("--on-error", "quarantine", "--reserved_columns", "row_id", "--batch_size", "2048")
    assert result.exit_code == 0, result.stderr
    assert "3,000 rows in = 2,997 out + 3 quarantined" in result.stdout
    assert f"{tmp_path / 'out'}/_quarantine" in result.stdout
    aside = pq.read_table(tmp_path / "out" / "_quarantine" / "unit-00000.parquet")
    assert aside["row"].to_pylist() == [row + 1 for row in BAD]
    kept = pq.read_table(tmp_path / "out" / "part-00000.parquet")["row_id"].to_pylist()
    assert kept == [row for row in range(3000) if row not in BAD]


def test_more_bad_rows_than_allowed(predict: Run, bad_rows: Path, tmp_path: Path) -> None:
    refused(predict("--on-error", "quarantine", "--max-bad-rows", "2"), 5, "--max-bad-rows 2")
    assert not (tmp_path / "out" / "_SUCCESS").exists()
    # The same folder goes on with a higher limit: the limit decides no byte of the output.
    assert predict("--on-error", "quarantine", "--max-bad-rows", "3").exit_code == 0


def test_the_limit_counts_earlier_runs(predict: Run, bad_rows: Path, tmp_path: Path) -> None:
    table = pq.read_table(bad_rows)
    folder = tmp_path / "two"
    folder.mkdir()
    for name in ("a", "b"):
        pq.write_table(table, folder / f"{name}.parquet")
    flags = ("--predict_input_path", folder, "--on-error", "quarantine")
    assert predict(*flags).exit_code == 0
    for gone in ("_SUCCESS", "_recinfer/units/00001.json", "part-00001.parquet", "_quarantine/unit-00001.parquet"):
        (tmp_path / "out" / gone).unlink()
    refused(predict(*flags, "--max-bad-rows", "5"), 5, "--max-bad-rows 5")
    assert predict(*flags, "--max-bad-rows", "6").exit_code == 0
