"""A failure in any stage stops all of them, says where it happened, and leaves a folder that can be resumed."""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from recinfer.data.attempt import Attempt
from recinfer.data.parser import Parser
from recinfer.data.readers.parquet import ParquetReader
from recinfer.errors import BadRowError, OutputError, StageError
from recinfer.main import verify
from recinfer.predict import job, pipeline
from recinfer.predict.scorer import Scorer
from tests.predict.conftest import ROWS, part_hashes

Run = Callable[..., tuple[Any, Path]]
Arm = Callable[[pytest.MonkeyPatch, Scorer], None]

# Lies in the third unit of the first file (rows 401 to 600), batch by batch of 64: rows 465 to 528.
BAD_ROW = 500
RESERVED = ["row_id"]


def holds_bad_row(batch: pa.RecordBatch) -> bool:
    return "row_id" in batch.schema.names and bool(pc.any(pc.equal(batch["row_id"], BAD_ROW)).as_py())


def fail_reading(monkeypatch: pytest.MonkeyPatch, scorer: Scorer) -> None:
    inner = ParquetReader._batches

    def batches(self: ParquetReader, *args: Any) -> Iterator[pa.RecordBatch]:
        for batch in inner(self, *args):
            if holds_bad_row(batch):
                raise RuntimeError("boom")
            yield batch

    monkeypatch.setattr(ParquetReader, "_batches", batches)


def fail_parsing(monkeypatch: pytest.MonkeyPatch, scorer: Scorer) -> None:
    class Failing(Parser):
        def __call__(self, batch: pa.RecordBatch | pa.Table) -> Any:
            if holds_bad_row(batch):
                raise RuntimeError("boom")
            return super().__call__(batch)

    monkeypatch.setattr(scorer, "parser", Failing(scorer.parser.features, for_model=True))


def fail_scoring(monkeypatch: pytest.MonkeyPatch, scorer: Scorer) -> None:
    inner = scorer.score_tensors

    def score_tensors(tensors: Any, rows: int, positions: Any = None) -> Any:
        if "profile.values" in tensors and (tensors["profile.values"] == MARK).any():
            raise RuntimeError("boom")
        return inner(tensors, rows, positions)

    monkeypatch.setattr(scorer, "score_tensors", score_tensors)


def fail_assembling(monkeypatch: pytest.MonkeyPatch, scorer: Scorer) -> None:
    inner = job.OutputColumns.__call__

    def assemble(self: Any, item: Any, predictions: pa.RecordBatch) -> pa.RecordBatch:
        if holds_bad_row(item.batch):
            raise RuntimeError("boom")
        return inner(self, item, predictions)

    monkeypatch.setattr(job.OutputColumns, "__call__", assemble)


def fail_writing(monkeypatch: pytest.MonkeyPatch, scorer: Scorer) -> None:
    inner = Attempt.write

    def write(self: Attempt, batch: pa.RecordBatch) -> None:
        if holds_bad_row(batch):
            raise RuntimeError("boom")
        inner(self, batch)

    monkeypatch.setattr(Attempt, "write", write)


STAGES: dict[str, tuple[str, Arm]] = {
    "read": ("read", fail_reading),
    "parse": ("parse", fail_parsing),
    "score": ("score", fail_scoring),
    "assemble": ("score", fail_assembling),
    "write": ("write", fail_writing),
}

# A value of `profile` that no other row has: tensors do not carry row ids.
MARK = 4096.0


@pytest.fixture
def marked(table: pa.Table, tmp_path: Path) -> Path:
    """The source as two files, with a mark in row :data:`BAD_ROW`."""
    folder = tmp_path / "marked"
    folder.mkdir()
    profile = table["profile"].to_pylist()
    profile[BAD_ROW] = [MARK, 0.0, 0.0]
    place = table.column_names.index("profile")
    whole = table.set_column(place, "profile", pa.array(profile, table.schema.field("profile").type))
    pq.write_table(whole.slice(0, 700), folder / "a.parquet", row_group_size=100)
    pq.write_table(whole.slice(700), folder / "b.parquet", row_group_size=100)
    return folder


def stage_threads() -> list[str]:
    names = ("read-", "parse-", "score-", "write-")
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(names)]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("case", STAGES)
def test_a_failure_names_its_place_and_the_run_resumes_to_the_same_bytes(
    run: Run, scorer: Scorer, marked: Path, case: str, threads: int
) -> None:
    stage, arm = STAGES[case]
    options = {"input_path": marked, "reserved_columns": RESERVED, "predict_threads": threads}
    _, whole = run("whole", **options)

    with pytest.MonkeyPatch.context() as monkeypatch:
        arm(monkeypatch, scorer)
        with pytest.raises(StageError) as caught:
            run("out", **options)
        text = str(caught.value)
        assert f"stage {stage!r} failed at " in text and "RuntimeError('boom')" in text and "resumed" in text
        assert f"{marked / 'a.parquet'}, unit 2" in text
        if case != "read":
            assert ", rows 465 to 528" in text
        assert "Traceback" in text and arm.__name__.split("_")[0] in text
        assert stage_threads() == []

    report = verify(whole.with_name("out"))
    assert not report.complete
    assert not (whole.with_name("out") / "_SUCCESS").exists()
    summary, folder = run("out", **options)
    assert 0 < summary.rows_scored <= ROWS and summary.rows_out == ROWS
    assert verify(folder).complete
    assert part_hashes(folder) == part_hashes(whole)


def test_finished_units_are_not_scored_again(run: Run, scorer: Scorer, marked: Path) -> None:
    options = {"input_path": marked, "reserved_columns": RESERVED, "predict_threads": 1}
    with pytest.MonkeyPatch.context() as monkeypatch:
        fail_writing(monkeypatch, scorer)
        with pytest.raises(StageError):
            run(**options)
    before = {path: path.stat().st_mtime_ns for path in (marked.parent / "out").glob("part-*")}
    assert len(before) == 2
    summary, _ = run(**options)
    assert summary.rows_scored == ROWS - 400
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_resuming_keeps_the_chunk_of_the_first_run(
    run: Run, scorer: Scorer, marked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"input_path": marked, "reserved_columns": RESERVED}
    _, whole = run("whole", **options)
    with pytest.MonkeyPatch.context() as failing:
        fail_writing(failing, scorer)
        with pytest.raises(StageError):
            run(**options)
    monkeypatch.setattr(job, "choose_chunking", lambda scorer, sample: job.Chunking(10, 20))
    summary, folder = run(**options)
    assert summary.chunk == {"rows": 64, "steps": 150}
    assert part_hashes(folder) == part_hashes(whole)


def test_a_full_disk_is_an_error_of_the_output(
    run: Run, monkeypatch: pytest.MonkeyPatch, marked: Path, tmp_path: Path
) -> None:
    def full(source: Any, target: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("recinfer.data.storage.local.os.replace", full)
    with pytest.raises(OutputError, match="No space left"):
        run(input_path=marked)
    assert stage_threads() == [] and not list((tmp_path / "out").glob("part-*"))
    monkeypatch.undo()
    summary, folder = run(input_path=marked)
    assert summary.rows_out == ROWS and verify(folder).complete


def test_a_bad_row_is_named_by_its_number_in_the_file(run: Run, table: pa.Table, tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    users = table["user_id"].to_pylist()
    users[BAD_ROW] = 77
    place = table.column_names.index("user_id")
    pq.write_table(table.set_column(place, "user_id", pa.array(users)), path, row_group_size=100)
    with pytest.raises(BadRowError) as caught:
        run(input_path=path)
    for words in ("'user_id'", "id 77", f"row {BAD_ROW + 1}", str(path)):
        assert words in str(caught.value), words


def test_a_failure_reaches_stages_that_wait_for_room(
    run: Run, scorer: Scorer, marked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for one batch only, the reader waits while others fail."""
    monkeypatch.setattr(job, "in_flight_bytes", lambda prepared: 1)
    options = {"input_path": marked, "reserved_columns": RESERVED, "predict_threads": 3}
    for _, arm in STAGES.values():
        with pytest.MonkeyPatch.context() as failing:
            arm(failing, scorer)
            with pytest.raises(StageError):
                run(overwrite=True, **options)
        assert stage_threads() == []
    summary, folder = run(overwrite=True, **options)
    assert summary.rows_out == ROWS and verify(folder).complete


def test_bytes_in_flight_stay_within_their_bound(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    free, _ = run("free")
    monkeypatch.setattr(job, "in_flight_bytes", lambda prepared: 1)
    tight, _ = run("tight")
    assert tight.peak_in_flight_bytes < free.peak_in_flight_bytes


def test_a_run_without_progress_says_what_every_stage_is_doing(
    run: Run, scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported = threading.Event()
    messages: list[str] = []

    class Listen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())
            reported.set()

    inner = scorer.score_tensors
    stuck: list[bool] = []

    def score_tensors(tensors: Any, rows: int, positions: Any = None) -> Any:
        if threading.current_thread().name == "score-0" and not stuck:
            # Ends by itself after a minute, so that a report that never comes fails the test and does not hang it.
            stuck.append(reported.wait(60))
        return inner(tensors, rows, positions)

    monkeypatch.setattr(scorer, "score_tensors", score_tensors)
    handler = Listen(level=logging.WARNING)
    pipeline.logger.addHandler(handler)
    try:
        summary, folder = run(predict_threads=1, stall_seconds=0.1)
    finally:
        pipeline.logger.removeHandler(handler)
    assert stuck == [True]
    assert "no row came through" in messages[0]
    for stage in ("read: ", "parse: ", "score: score-0: scoring ", "write: "):
        assert stage in messages[0], stage
    assert "unit 0, rows 1 to 64" in messages[0]
    assert summary.rows_out == ROWS and verify(folder).complete
