"""The prediction pipeline: complete, in order, and the same bytes however it is run."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import recinfer
from recinfer.errors import InputError, PlanMismatchError, UsageError
from recinfer.main import prepare_prediction, verify
from recinfer.predict.job import PredictOptions
from recinfer.predict.scorer import Scorer
from tests.predict.conftest import CHUNKING, ROWS, part_hashes, read_parts

Run = Callable[..., tuple[Any, Path]]


def test_predictions_are_those_of_the_whole_table(run: Run, scorer: Scorer, table: pa.Table) -> None:
    summary, folder = run(reserved_columns=["row_id"])
    out = read_parts(folder)
    expected = scorer.score(table)
    assert out.column_names == [*expected.column_names, "row_id"]
    assert out["row_id"].to_pylist() == list(range(ROWS))
    for name in expected.column_names:
        np.testing.assert_allclose(np.array(out[name]), np.array(expected[name]), rtol=1e-5, atol=1e-5)

    assert (summary.rows_in, summary.rows_out, summary.rows_scored, summary.quarantined) == (ROWS, ROWS, ROWS, 0)
    assert summary.parts == 8 == len(part_hashes(folder))
    assert summary.chunk == {"rows": CHUNKING.rows, "steps": CHUNKING.steps} and summary.threads == 2
    assert summary.stages.keys() == {"read", "parse", "score", "write"}
    assert not summary.already_complete and summary.output == str(folder)
    assert json.loads(json.dumps(summary.to_json()))["rows_per_second"] > 0
    assert verify(folder).complete


def test_bytes_do_not_depend_on_batches_and_threads(run: Run) -> None:
    hashes = []
    for number, (batch_size, threads) in enumerate([(64, 1), (1, 2), (100, 3), (8192, 4)]):
        summary, folder = run(f"out{number}", batch_size=batch_size, predict_threads=threads)
        assert summary.threads == threads
        hashes.append(part_hashes(folder))
    assert all(each == hashes[0] for each in hashes[1:])


def test_the_same_call_again_has_nothing_to_do(run: Run) -> None:
    first, folder = run()
    before = {path: path.stat().st_mtime_ns for path in folder.glob("part-*")}
    again, _ = run()
    assert again.already_complete and again.rows_scored == 0 and again.rows_out == first.rows_out
    assert again.first_batch_seconds is None
    assert {path: path.stat().st_mtime_ns for path in folder.glob("part-*")} == before


def test_another_job_in_the_same_folder_is_refused(
    run: Run, exported: Callable[[str], Path], tmp_path: Path, table: pa.Table
) -> None:
    run()
    with pytest.raises(PlanMismatchError, match="the model is another one"):
        run(model=exported("multi_tower"))
    other = tmp_path / "other.parquet"
    pq.write_table(table.slice(0, 50), other)
    with pytest.raises(PlanMismatchError, match="input file"):
        run(input_path=other)
    with pytest.raises(PlanMismatchError, match="with row_id"):
        run(reserved_columns=["row_id"])
    summary, folder = run(input_path=other, overwrite=True)
    assert summary.rows_out == 50 == read_parts(folder).num_rows


def test_reserved_columns_keep_type_and_value(run: Run, table: pa.Table) -> None:
    names = ["code", "tags", "history__genres", "liked", "movie_id"]
    _, folder = run(reserved_columns=[*names, "code"])
    out = read_parts(folder)
    for name in names:
        assert out[name].type == table[name].type
        assert out[name].to_pylist() == table[name].to_pylist()
    assert any(code.startswith("0") for code in out["code"].to_pylist())


def test_all_columns(run: Run, table: pa.Table) -> None:
    _, folder = run(reserved_columns=["ALL_COLUMNS"])
    out = read_parts(folder)
    assert out.column_names == ["logits", "probs", *table.column_names]
    assert out.select(table.column_names).equals(table)


def test_output_columns(run: Run) -> None:
    _, folder = run(output_columns=["probs"], reserved_columns=["row_id"])
    assert read_parts(folder).column_names == ["probs", "row_id"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_columns": ["prob"]}, r"--output_columns: there is no 'prob'(.|\n)*did you mean 'probs'"),
        ({"reserved_columns": ["row-id"]}, r"--reserved_columns: there is no 'row-id'(.|\n)*did you mean 'row_id'"),
        ({"reserved_columns": ["zzz"]}, r"the input has row_id, code"),
    ],
)
def test_unknown_columns_are_refused_before_anything_is_written(
    run: Run, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        run(**options)
    assert not (tmp_path / "out").exists()


def test_a_name_that_would_stand_twice_is_refused(run: Run, table: pa.Table, tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    pq.write_table(table.slice(0, 20).append_column("probs", pa.array([0.5] * 20)), path)
    for options in ({"reserved_columns": ["probs"]}, {"reserved_columns": ["ALL_COLUMNS"]}):
        with pytest.raises(UsageError, match="the output would hold probs twice"):
            run(input_path=path, **options)
    _, folder = run(input_path=path, reserved_columns=["probs"], output_columns=["logits"])
    assert read_parts(folder)["probs"].to_pylist() == [0.5] * 20


def test_debug_columns_hold_what_the_model_was_given(run: Run, table: pa.Table) -> None:
    _, folder = run(debug=True)
    out = read_parts(folder)
    parsed = {name.removeprefix("parsed."): out[name].to_pylist() for name in out.column_names if "parsed" in name}

    def column(name: str) -> list[Any]:
        return table[name].to_pylist()

    assert parsed["user_id"] == [[] if value is None else [value] for value in column("user_id")]
    assert parsed["genres"] == [value or [] for value in column("genres")]
    assert parsed["tags"] == [[key for key, _ in value or []] for value in column("tags")]
    assert parsed["rating"] == [[3.5 if value is None else value] for value in column("rating")]
    assert parsed["profile"] == [[0.0, 0.0, 0.0] if value is None else value for value in column("profile")]
    assert parsed["history__movie_id"] == [value or [] for value in column("history__movie_id")]
    assert parsed["history__genres"] == [value or [] for value in column("history__genres")]
    assert parsed["history__mood"] == [value or [] for value in column("history__mood")]


def test_predict_steps_takes_the_first_batches(run: Run) -> None:
    summary, folder = run(predict_steps=3, batch_size=128, reserved_columns=["row_id"])
    assert summary.rows_out == 3 * 128
    assert read_parts(folder)["row_id"].to_pylist() == list(range(3 * 128))
    summary, _ = run("more", predict_steps=1000)
    assert summary.rows_out == ROWS


def test_progress(run: Run) -> None:
    seen: list[Any] = []
    run(on_progress=seen.append)
    assert seen[-1].rows == ROWS == seen[-1].total_rows
    assert seen[-1].units == 8 == seen[-1].total_units
    assert seen[-1].stage in ("read", "parse", "score", "write")
    assert seen[-1].rows_per_second > 0 and seen[-1].eta_seconds == 0


def test_ctrl_c_stops_the_run_and_the_same_call_goes_on(
    run: Run, scorer: Scorer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pressed = threading.Event()
    inner = scorer.score_tensors

    def score_tensors(tensors: Any, rows: int, positions: Any = None) -> Any:
        pressed.wait(60)
        return inner(tensors, rows, positions)

    def look(snapshot: Any) -> None:
        pressed.set()
        raise KeyboardInterrupt

    monkeypatch.setattr(scorer, "score_tensors", score_tensors)
    with pytest.raises(KeyboardInterrupt):
        run(on_progress=look)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("read-", "score-", "write-"))]
    assert len(list((tmp_path / "out").glob("part-*"))) < 8
    summary, folder = run()
    assert summary.rows_out == ROWS and verify(folder).complete


def test_profile(run: Run, tmp_path: Path) -> None:
    run(profile_dir=tmp_path / "profile")
    stages = json.loads((tmp_path / "profile" / "stages.json").read_text(encoding="utf-8"))
    assert stages["rows"] == ROWS and stages["stages"]["score"]["threads"] == 2
    assert "traceEvents" in json.loads((tmp_path / "profile" / "trace.json").read_text(encoding="utf-8"))


def test_csv_in_and_out(run: Run, exported: Callable[[str], Path], tmp_path: Path) -> None:
    """Ids with leading zeros come out as they went in, and features come as strings."""
    rows = 150
    lines = ["code,user_id,movie_id,genres,tags,age,rating,profile,popularity,recency"]
    lines += [
        f"{n:05d},{n % 50},{n % 40},{n % 18}\x03{n % 7},{n % 30}:0.5,{n % 5},{n / 7},1\x032\x03{n},0.25,"
        for n in range(rows)
    ]
    path = tmp_path / "in.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    scorer = recinfer.load_scorer(exported("deepfm"))
    summary, folder = run(input_path=path, model=scorer, reserved_columns=["code"], writer="CsvWriter")
    assert summary.rows_out == rows
    (part,) = folder.glob("part-*.csv")
    text = pa.csv.ConvertOptions(column_types={"code": pa.string()})
    out = pa.csv.read_csv(part, convert_options=text)
    assert out["code"].to_pylist() == [f"{n:05d}" for n in range(rows)]
    same = pa.table(
        {
            "user_id": [n % 50 for n in range(rows)],
            "movie_id": [n % 40 for n in range(rows)],
            "genres": [[n % 18, n % 7] for n in range(rows)],
            "tags": pa.array([[(n % 30, 0.5)] for n in range(rows)], pa.map_(pa.int64(), pa.float32())),
            "age": [n % 5 for n in range(rows)],
            "rating": [n / 7 for n in range(rows)],
            "profile": [[1.0, 2.0, float(n)] for n in range(rows)],
            "popularity": [0.25] * rows,
            "recency": pa.nulls(rows, pa.float32()),
        }
    )
    np.testing.assert_allclose(np.array(out["probs"]), np.array(scorer.score(same)["probs"]), rtol=1e-5, atol=1e-5)


def test_all_that_does_not_fit_is_said_at_once(run: Run, table: pa.Table, tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    wrong = table.drop_columns(["age", "genres"]).rename_columns({"user_id": "userid"})
    place = wrong.column_names.index("movie_id")
    wrong = wrong.set_column(place, "movie_id", pa.array(np.arange(ROWS) * 0.5))
    pq.write_table(wrong, path)
    with pytest.raises(InputError) as caught:
        run(input_path=path)
    for words in ("'age'", "'genres'", "'user_id'", "'userid'", "'movie_id'", "double"):
        assert words in str(caught.value), words
    assert not (tmp_path / "out").exists()


def test_an_input_without_rows_is_refused(run: Run, table: pa.Table, tmp_path: Path) -> None:
    pq.write_table(table.slice(0, 0), tmp_path / "in.parquet")
    with pytest.raises(InputError, match="has no rows"):
        run(input_path=tmp_path / "in.parquet")
    assert not (tmp_path / "out").exists()


def test_planning_writes_nothing(scorer: Scorer, source: Path, tmp_path: Path) -> None:
    prepared = prepare_prediction(scorer, str(source), tmp_path / "out", PredictOptions(unit_rows=200, batch_size=100))
    assert [unit.rows for unit in prepared.plan.units] == [200, 200, 200, 100, 1, 200, 200, 199]
    assert prepared.plan.scoring_chunk == {"rows": 64, "steps": 150} and prepared.batch_rows == 64
    assert prepared.plan.output_schema.names == ["logits", "probs"]
    assert not (tmp_path / "out").exists()


def test_options_come_one_way(run: Run, scorer: Scorer, source: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not both"):
        recinfer.predict(scorer, str(source), tmp_path / "out", options=PredictOptions(), batch_size=3)
