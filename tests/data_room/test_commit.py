from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from recinfer.data.commit import OutputFolder
from recinfer.data.plan import Plan, load_plan, make_plan
from recinfer.data.plan_difference import plan_differences
from recinfer.data.quarantine import quarantined_rows
from recinfer.data.readers import open_reader
from recinfer.data.swap import exchange
from recinfer.data.table_copy import copy_table
from recinfer.data.verify import verify_output
from recinfer.data.writers.parquet import ParquetWriter
from recinfer.errors import InputError, OutputError, PlanMismatchError, StageError
from tests.data_room.tables import mixed_table, read_parts, write_parquet

TABLE = mixed_table(400)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_parquet(tmp_path / "in" / "t.parquet", TABLE, 100)


def planned(source: Path, **named: Any) -> Plan:
    reader = open_reader(str(source))
    return make_plan(reader, named.pop("schema", reader.schema), target_rows=named.pop("target_rows", 100), **named)


def write_unit(folder: OutputFolder, index: int) -> None:
    unit = folder.plan.units[index]
    attempt = folder.attempt(unit)
    for batch in TABLE.slice(unit.first_row, unit.rows).to_batches():
        attempt.write(batch)
    attempt.publish()


def stop_after(count: int) -> Callable[[object], None]:
    left = [count]

    def stop(_: object) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    return stop


def test_units_become_parts_and_success_comes_last(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with OutputFolder.open(out, planned(source)) as folder:
        for index in (2, 0, 3, 1):
            assert not (out / "_SUCCESS").exists()
            write_unit(folder, index)
        assert folder.pending() == []
        totals = folder.finish()
    assert (totals.rows_in, totals.rows, totals.quarantined, totals.parts) == (400, 400, 0, 4)
    assert read_parts(out).equals(TABLE)
    assert sorted(path.name for path in out.iterdir()) == [
        "_SUCCESS",
        "_recinfer",
        *[f"part-0000{k}.parquet" for k in range(4)],
    ]
    success = json.loads((out / "_SUCCESS").read_text())
    assert success["rows"] == 400 and [part["part"] for part in success["parts"]] == [
        f"part-0000{k}.parquet" for k in range(4)
    ]


def test_threads_publish_side_by_side(source: Path, tmp_path: Path) -> None:
    with OutputFolder.open(tmp_path / "out", planned(source)) as folder:
        threads = [threading.Thread(target=write_unit, args=(folder, index)) for index in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        folder.finish()
    assert read_parts(tmp_path / "out").equals(TABLE)


def test_finish_refuses_while_units_are_pending(source: Path, tmp_path: Path) -> None:
    with OutputFolder.open(tmp_path / "out", planned(source)) as folder:
        write_unit(folder, 1)
        with pytest.raises(OutputError, match="3 of 4 units are not done"):
            folder.finish()
    assert not (tmp_path / "out" / "_SUCCESS").exists()


def test_resume_takes_up_what_is_left(source: Path, tmp_path: Path) -> None:
    done: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        copy_table(str(source), tmp_path / "out", target_rows=100, on_unit=stop_after(2))
    leftover = tmp_path / "out" / "_recinfer" / "attempts" / "00002-dead.parquet"
    leftover.write_text("half")
    totals = copy_table(str(source), tmp_path / "out", target_rows=100, on_unit=lambda unit: done.append(unit.index))
    assert done == [2, 3] and totals.rows == 400 and not totals.already_complete
    assert not leftover.exists() and read_parts(tmp_path / "out").equals(TABLE)
    totals = copy_table(str(source), tmp_path / "out", target_rows=100, on_unit=lambda unit: done.append(unit.index))
    assert done == [2, 3] and totals.already_complete and totals.rows == 400


@pytest.mark.parametrize("damage", ["missing", "short", "no record"])
def test_only_units_whose_part_is_whole_are_trusted(source: Path, tmp_path: Path, damage: str) -> None:
    out = tmp_path / "out"
    copy_table(str(source), out, target_rows=100)
    part = out / "part-00001.parquet"
    if damage == "missing":
        part.unlink()
    elif damage == "short":
        part.write_bytes(part.read_bytes()[:-1])
    else:
        (out / "_recinfer" / "units" / "00001.json").unlink()
    plan = planned(source, options={"columns": TABLE.column_names})
    with OutputFolder.open(out, plan) as folder:
        assert [unit.index for unit in folder.pending()] == [1]
        assert not folder.already_complete and not (out / "_SUCCESS").exists()
        write_unit(folder, 1)
        folder.finish()
    assert read_parts(out).equals(TABLE) and verify_output(out).complete


def test_rows_that_got_lost_are_noticed_when_a_unit_is_published(source: Path, tmp_path: Path) -> None:
    with OutputFolder.open(tmp_path / "out", planned(source)) as folder:
        attempt = folder.attempt(folder.plan.units[0])
        attempt.write(TABLE.slice(0, 99).to_batches()[0])
        with pytest.raises(StageError, match="of 100 rows, 99 were written and 0 quarantined"):
            attempt.publish()
        assert len(folder.pending()) == 4
    assert list((tmp_path / "out").glob("part-*")) == []


def test_quarantined_rows_make_up_for_those_left_out(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    plan = planned(source, target_rows=400)
    with OutputFolder.open(out, plan) as folder:
        attempt = folder.attempt(plan.units[0])
        batch = TABLE.combine_chunks().to_batches()[0]
        attempt.write(batch.slice(0, 397))
        attempt.quarantine(quarantined_rows("t.parquet", batch, [399, 397], [400, 398], ["no", "never"]))
        attempt.quarantine(quarantined_rows("t.parquet", batch, [398], [399], ["not"]))
        attempt.publish()
        assert folder.totals.quarantined == 3
        totals = folder.finish()
    assert (totals.rows_in, totals.rows, totals.quarantined) == (400, 397, 3)
    rows = pa.parquet.read_table(out / "_quarantine" / "unit-00000.parquet").to_pylist()
    assert [(row["file"], row["row"], row["reason"]) for row in rows] == [
        ("t.parquet", 398, "never"),
        ("t.parquet", 399, "not"),
        ("t.parquet", 400, "no"),
    ]
    assert json.loads(rows[0]["columns"]) == TABLE.slice(397, 1).to_pylist()[0]
    assert verify_output(out).complete


def test_quarantined_rows_of_an_attempt_without_record_do_not_stay(source: Path, tmp_path: Path) -> None:
    plan = planned(source)
    with OutputFolder.open(tmp_path / "out", plan) as folder:
        attempt = folder.attempt(plan.units[0])
        batch = TABLE.slice(0, 100).combine_chunks().to_batches()[0]
        attempt.write(batch.slice(0, 99))
        attempt.quarantine(quarantined_rows("t.parquet", batch, [99], [100], ["no"]))
        attempt.publish()
    (tmp_path / "out" / "_recinfer" / "units" / "00000.json").unlink()
    with OutputFolder.open(tmp_path / "out", plan) as folder:
        for index in range(4):
            write_unit(folder, index)
        folder.finish()
    assert verify_output(tmp_path / "out").complete
    assert list((tmp_path / "out" / "_quarantine").iterdir()) == []


def test_abandoned_attempts_leave_nothing(source: Path, tmp_path: Path) -> None:
    with OutputFolder.open(tmp_path / "out", planned(source)) as folder:
        attempt = folder.attempt(folder.plan.units[0])
        attempt.write(TABLE.slice(0, 10).to_batches()[0])
        attempt.abandon()
        attempt.abandon()
        assert list((tmp_path / "out" / "_recinfer" / "attempts").iterdir()) == []


def test_a_second_job_fails_at_once_and_names_the_first(source: Path, tmp_path: Path) -> None:
    plan = planned(source)
    with OutputFolder.open(tmp_path / "out", plan):
        for overwrite in (False, True):
            with pytest.raises(OutputError, match=rf"in use by another job \(pid {os.getpid()} on "):
                OutputFolder.open(tmp_path / "out", plan, overwrite=overwrite)
    OutputFolder.open(tmp_path / "out", plan).close()


def test_an_overwriting_job_locks_the_old_output_as_well(source: Path, tmp_path: Path) -> None:
    copy_table(str(source), tmp_path / "out", target_rows=100)
    plan = planned(source)
    with OutputFolder.open(tmp_path / "out", plan, overwrite=True) as folder:
        with pytest.raises(OutputError, match="in use"):
            OutputFolder.open(tmp_path / "out", plan)
        for index in range(4):
            write_unit(folder, index)
        folder.finish()
        with pytest.raises(OutputError, match="in use"):
            OutputFolder.open(tmp_path / "out", plan)


@pytest.mark.parametrize("names", [["notes.txt"], ["part-00000.parquet"], ["_recinfer", "notes.txt"]])
@pytest.mark.parametrize("overwrite", [False, True])
def test_files_of_others_are_left_alone(source: Path, tmp_path: Path, names: list[str], overwrite: bool) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in names:
        (out / name).write_text("mine") if "." in name else (out / name).mkdir()
    with pytest.raises(OutputError, match="has not written"):
        copy_table(str(source), out, overwrite=overwrite)
    assert sorted(path.name for path in out.iterdir()) == sorted(names)


def test_an_empty_folder_is_taken(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert copy_table(str(source), tmp_path / "out").rows == 400


def test_no_resume_refuses_output_that_is_there(source: Path, tmp_path: Path) -> None:
    copy_table(str(source), tmp_path / "out", resume=False)
    with pytest.raises(OutputError, match="holds output already"):
        copy_table(str(source), tmp_path / "out", resume=False)
    assert not copy_table(str(source), tmp_path / "out", resume=False, overwrite=True).already_complete


@pytest.mark.parametrize("place", ["in", "in/out", "in/t.parquet", "link/out"])
def test_output_inside_the_input_is_refused(source: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "in")
    with pytest.raises(OutputError, match=r"lies in the input|is a file|lies in the output"):
        copy_table(str(source.parent), tmp_path / place, overwrite=True)
    assert [path.name for path in source.parent.iterdir()] == ["t.parquet"]


def test_input_inside_the_output_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"input .* lies in the output folder"):
        copy_table(str(source), source.parent, overwrite=True)


def test_output_below_a_file_is_refused(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match=r"cannot write .*file/out"):
        copy_table(str(source), tmp_path / "file" / "out")
    with pytest.raises(OutputError, match="is a file"):
        copy_table(str(source), tmp_path / "file")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_failing_disk_leaves_a_folder_that_resumes(
    source: Path, tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def fail(self: ParquetWriter) -> None:
        calls.append(self)
        if len(calls) == 3:
            raise OSError(number, os.strerror(number))
        finish(self)

    finish = ParquetWriter._finish
    monkeypatch.setattr(ParquetWriter, "_finish", fail)
    with pytest.raises(OutputError, match=os.strerror(number)):
        copy_table(str(source), tmp_path / "out", target_rows=100)
    report = verify_output(tmp_path / "out")
    assert not report.complete and report.parts == 2
    assert list((tmp_path / "out" / "_recinfer" / "attempts").iterdir()) == []
    assert copy_table(str(source), tmp_path / "out", target_rows=100).rows == 400


def test_an_unwritable_place_is_found_before_work(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(OutputError, match=r"cannot write .*out: Read-only file system"):
        OutputFolder.open(tmp_path / "out", planned(source))


def change(plan: str, source: Path) -> dict[str, Any]:
    if plan == "input":
        write_parquet(source, mixed_table(401), 100)
    elif plan == "added":
        write_parquet(source.parent / "u.parquet", TABLE, 100)
    elif plan == "removed":
        source.rename(source.parent / "u.parquet")
    return {
        "model": {"model": "b"},
        "schema": {"schema": pa.schema([("id", pa.int64())])},
        "option": {"options": {"reserved": ["id"]}},
        "kind": {"kind": "CsvWriter"},
        "chunk": {"scoring_chunk": 512},
        "units": {"target_rows": 200},
    }.get(plan, {})


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("input", r"input file changed: .*t\.parquet \([\d,]+ bytes, now [\d,]+\)"),
        ("added", r"input file added: .*u\.parquet"),
        ("removed", r"input file removed: .*t\.parquet"),
        ("model", "the model is another one"),
        ("schema", "the output schema changed: without code, without score"),
        ("option", r"option reserved changed: None -> \['id'\]"),
        ("kind", "the writer changed: ParquetWriter -> CsvWriter"),
        ("chunk", "the scoring chunk changed: 1024 -> 512"),
        ("units", "option target_rows changed: 100 -> 200"),
    ],
)
def test_another_plan_is_refused_and_says_what_changed(source: Path, tmp_path: Path, what: str, message: str) -> None:
    out = tmp_path / "out"
    OutputFolder.open(out, planned(source, model="a", scoring_chunk=1024)).close()
    before = (out / "_recinfer" / "plan.json").read_bytes()
    other = planned(source.parent, **{"model": "a", "scoring_chunk": 1024, **change(what, source)})
    with pytest.raises(PlanMismatchError, match=message) as caught:
        OutputFolder.open(out, other)
    if what not in {"input", "added", "removed"}:
        assert len(plan_differences(load_plan(out / "_recinfer" / "plan.json") or other, other)) == 1, caught.value
    assert (out / "_recinfer" / "plan.json").read_bytes() == before


def test_plans_survive_json(source: Path, tmp_path: Path) -> None:
    plan = planned(source, model="m", options={"columns": ["id"]}, scoring_chunk={"rows": 1024, "steps": 1500})
    OutputFolder.open(tmp_path / "out", plan).close()
    stored = load_plan(tmp_path / "out" / "_recinfer" / "plan.json")
    assert stored == plan and plan_differences(plan, plan) == []
    assert plan.inputs[0].rows == 400 and plan.rows == 400


def test_units_of_an_unchanged_input_are_not_counted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from recinfer.data.readers.csv import CsvReader
    from recinfer.data.readers.csv_options import CsvOptions

    (tmp_path / "t.csv").write_text("id\n" + "1\n" * 50)
    options = {"csv": CsvOptions(with_header=True), "target_rows": 10}
    with pytest.raises(KeyboardInterrupt):
        copy_table(str(tmp_path / "t.csv"), tmp_path / "out", on_unit=stop_after(2), **options)
    monkeypatch.setattr(CsvReader, "units", lambda *_: pytest.fail("counted again"))
    assert copy_table(str(tmp_path / "t.csv"), tmp_path / "out", **options).rows == 50


def test_units_of_a_changed_input_are_counted_again(tmp_path: Path) -> None:
    from recinfer.data.readers.csv_options import CsvOptions

    (tmp_path / "t.csv").write_text("id\n" + "1\n" * 50)
    copy_table(str(tmp_path / "t.csv"), tmp_path / "out", csv=CsvOptions(with_header=True))
    (tmp_path / "t.csv").write_text("id\n" + "1\n" * 60)
    totals = copy_table(str(tmp_path / "t.csv"), tmp_path / "out", csv=CsvOptions(with_header=True), overwrite=True)
    assert totals.rows == 60


def test_an_input_without_rows_is_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path / "t.parquet", mixed_table(0))
    with pytest.raises(InputError, match="has no rows"):
        copy_table(str(tmp_path / "t.parquet"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["{", '{"format": 1}', '{"format": 99}', "[]"])
def test_a_damaged_plan_stops_a_resume_but_not_an_overwrite(source: Path, tmp_path: Path, text: str) -> None:
    copy_table(str(source), tmp_path / "out")
    (tmp_path / "out" / "_recinfer" / "plan.json").write_text(text)
    with pytest.raises((InputError, PlanMismatchError), match=r"plan\.json"):
        copy_table(str(source), tmp_path / "out")
    assert not verify_output(tmp_path / "out").complete
    copy_table(str(source), tmp_path / "out", overwrite=True)
    assert verify_output(tmp_path / "out").complete


def test_overwrite_keeps_the_old_output_until_the_new_one_is_complete(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copy_table(str(source), out, target_rows=400)
    other = write_parquet(tmp_path / "other" / "t.parquet", mixed_table(300, 5), 100)
    with pytest.raises(KeyboardInterrupt):
        copy_table(str(other), out, target_rows=100, overwrite=True, on_unit=stop_after(2))
    assert read_parts(out).equals(TABLE) and verify_output(out).complete
    done: list[int] = []
    copy_table(str(other), out, target_rows=100, overwrite=True, on_unit=lambda unit: done.append(unit.index))
    assert done == [2]
    assert read_parts(out).equals(mixed_table(300, 5)) and verify_output(out).complete
    assert not list(tmp_path.glob("out.*"))


def test_a_build_of_another_plan_is_begun_anew(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copy_table(str(source), out)
    with pytest.raises(KeyboardInterrupt):
        copy_table(str(source), out, target_rows=100, overwrite=True, on_unit=stop_after(2))
    done: list[int] = []
    copy_table(str(source), out, target_rows=200, overwrite=True, on_unit=lambda unit: done.append(unit.index))
    assert done == [0, 1] and verify_output(out).complete


def test_overwrite_of_an_unfinished_run_of_the_same_plan_continues_it(source: Path, tmp_path: Path) -> None:
    done: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        copy_table(str(source), tmp_path / "out", target_rows=100, overwrite=True, on_unit=stop_after(3))
    copy_table(
        str(source), tmp_path / "out", target_rows=100, overwrite=True, on_unit=lambda unit: done.append(unit.index)
    )
    assert done == [3] and read_parts(tmp_path / "out").equals(TABLE)


def test_folders_exchange_in_one_step(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(name)
    if not exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this file system cannot exchange")
    assert (tmp_path / "a" / "name").read_text() == "b"
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "a", tmp_path / "nothing")
