"""Output folders on S3: the same parts as on a local disk, whatever the store does in between."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from recinfer.data.commit import OutputFolder
from recinfer.data.plan import make_plan
from recinfer.data.readers import open_reader
from recinfer.data.storage import client as client_module
from recinfer.data.storage import lease
from recinfer.data.table_copy import copy_table
from recinfer.data.verify import verify_output
from recinfer.errors import InputError, OutputError, PlanMismatchError
from tests.data_room.tables import mixed_table, write_parquet
from tests.storage.buckets import Bucket
from tests.storage.faulty_proxy import FaultyProxy, Request

TABLE = mixed_table(400)
# 18 bytes a row, which do not compress.
WIDE = pa.table({"id": np.arange(1_000_000), "noise": np.random.default_rng(0).random(1_000_000)})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_parquet(tmp_path / "in" / "t.parquet", TABLE, 100)


def copied(source: object, target: object, **named: Any) -> Any:
    return copy_table(str(source), str(target), target_rows=named.pop("target_rows", 100), **named)


def is_part(request: Request) -> bool:
    return request.method == "PUT" and "/part-" in request.path


def stop_after(count: int) -> Any:
    done = []

    def stop(unit: object) -> None:
        done.append(unit)
        if len(done) == count:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize("kind", ["ParquetWriter", pytest.param("CsvWriter", marks=pytest.mark.slow)])
def test_parts_are_those_of_a_local_output(source: Path, tmp_path: Path, bucket: Bucket, kind: str) -> None:
    totals = copied(source, bucket.uri("deep/out"), kind=kind)
    copied(source, tmp_path / "out", kind=kind)
    local = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()}
    held = bucket.content("deep/out/")
    assert {name: content for name, content in held.items() if not name.startswith("_recinfer")} == local
    assert totals.rows == 400 and totals.parts == 4 and not totals.already_complete
    assert verify_output(bucket.uri("deep/out")).complete
    assert copied(source, bucket.uri("deep/out"), kind=kind).already_complete


def test_large_parts_go_up_in_pieces_and_small_ones_at_once(tmp_path: Path, bucket: Bucket, proxy: FaultyProxy) -> None:
    source = write_parquet(tmp_path / "big.parquet", WIDE, len(WIDE))
    copied(source, bucket.uri("out"), target_rows=len(WIDE))
    pieces = [request for request in proxy.requests if "partNumber" in request.query]
    size = len(bucket.get("out/part-00000.parquet"))
    assert size > 8 << 20 and len(pieces) == -(-size // (8 << 20)) >= 2
    assert all(request.length <= (8 << 20) + 200 for request in pieces)
    [done] = [request for request in proxy.requests if request.method == "POST" and "uploadId" in request.query]
    assert done.headers["if-none-match"] == "*"
    assert verify_output(bucket.uri("out")).complete


def test_a_small_part_is_created_and_never_overwritten(source: Path, bucket: Bucket, proxy: FaultyProxy) -> None:
    copied(source, bucket.uri("out"))
    puts = [request for request in proxy.requests if is_part(request)]
    assert len(puts) == 4 and all(request.headers["if-none-match"] == "*" for request in puts)


@pytest.mark.parametrize("kind", ["503", "drop_request", "drop_answer", "no_answer"])
def test_each_request_may_fail_once(
    source: Path, bucket: Bucket, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(client_module, "FIRST_WAIT", 0.01)
    # Otherwise a store that has not answered yet is given up sooner.
    monkeypatch.setattr(client_module, "TRIES_TO_REACH", client_module.TRIES)
    seen: set[tuple[str, str]] = set()

    def first_time(request: Request) -> bool:
        name = (request.method, request.target)
        fresh = name not in seen
        seen.add(name)
        return fresh

    with proxy.fault(kind, first_time, times=1000) as fault:
        copied(source, bucket.uri("out"), target_rows=200)
        assert verify_output(bucket.uri("out")).complete
    assert {"PUT", "GET", "HEAD"} <= {request.method for request in fault.hits}
    assert bucket.parts("out").equals(TABLE)


def test_a_store_that_stays_away_is_one_clear_error_and_the_job_can_go_on(
    source: Path, bucket: Bucket, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "FIRST_WAIT", 0.001)
    with (
        proxy.fault("503", lambda request: "/part-00002" in request.path, times=1000) as fault,
        pytest.raises(OutputError, match=rf"cannot write {bucket.uri('out')}.*busy or failing \(HTTP 503") as error,
    ):
        copied(source, bucket.uri("out"))
    assert len(fault.hits) == client_module.TRIES
    assert "what is finished is kept" in str(error.value)
    report = verify_output(bucket.uri("out"))
    assert not report.complete and report.parts == 2
    puts = len(proxy.requests)
    copied(source, bucket.uri("out"))
    assert sorted({r.path[-13:] for r in proxy.requests[puts:] if is_part(r)}) == ["00002.parquet", "00003.parquet"]
    assert bucket.parts("out").equals(TABLE) and verify_output(bucket.uri("out")).complete


def test_a_large_upload_that_breaks_off_leaves_nothing_and_is_done_again(
    tmp_path: Path, bucket: Bucket, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "FIRST_WAIT", 0.001)
    source = write_parquet(tmp_path / "big.parquet", WIDE, len(WIDE))
    second = lambda request: "partNumber=2" in request.query  # noqa: E731
    with proxy.fault("drop_request", second, times=1000), pytest.raises(OutputError, match="did not answer"):
        copied(source, bucket.uri("out"), target_rows=len(WIDE))
    assert not bucket.keys("out/part-") and not bucket.unfinished_uploads()
    with proxy.fault("drop_request", second), proxy.fault("no_answer", lambda r: r.method == "POST", times=2) as lost:
        copied(source, bucket.uri("out"), target_rows=len(WIDE))
    assert len(lost.hits) == 2
    assert bucket.parts("out").equals(WIDE)
    assert verify_output(bucket.uri("out")).complete


def test_of_two_writers_of_one_key_one_wins(bucket: Bucket, tmp_path: Path) -> None:
    from recinfer.data.storage.clients import client_of
    from recinfer.data.storage.remote_path import parse_remote

    client = client_of(parse_remote(bucket.uri()))
    start = threading.Barrier(8)
    won: list[int] = []

    def write(number: int) -> None:
        start.wait()
        try:
            client.create("race", str(number).encode())
            won.append(number)
        except FileExistsError:
            return

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1 and bucket.get("race") == str(won[0]).encode()


def test_a_part_that_was_not_recorded_is_made_again(source: Path, bucket: Bucket) -> None:
    with pytest.raises(KeyboardInterrupt):
        copied(source, bucket.uri("out"), on_unit=stop_after(2))
    bucket.put("out/part-00002.parquet", b"of a job that was killed before it recorded it")
    bucket.client.delete_object(Bucket=bucket.name, Key="out/_recinfer/units/00001.json")
    copied(source, bucket.uri("out"))
    assert bucket.parts("out").equals(TABLE) and verify_output(bucket.uri("out")).complete


def test_other_content_under_a_part_s_name_is_never_overwritten(source: Path, bucket: Bucket) -> None:
    with OutputFolder.open(bucket.uri("out"), planned(source)) as folder:
        attempt = folder.attempt(folder.plan.units[0])
        for batch in TABLE.slice(0, 100).to_batches():
            attempt.write(batch)
        bucket.put("out/part-00000.parquet", b"of a rival")
        with pytest.raises(OutputError, match="other content is there already"):
            attempt.publish()
    assert bucket.get("out/part-00000.parquet") == b"of a rival"


def planned(source: Path) -> Any:
    reader = open_reader(str(source))
    return make_plan(reader, reader.schema, target_rows=100)


def test_two_jobs_on_one_folder(source: Path, bucket: Bucket) -> None:
    with (
        OutputFolder.open(bucket.uri("out"), planned(source)),
        pytest.raises(
            OutputError, match=r"in use by another job \(pid \d+ on .*, since .*; last sign of life \d+ s ago"
        ),
    ):
        OutputFolder.open(bucket.uri("out"), planned(source))
    OutputFolder.open(bucket.uri("out"), planned(source)).close()


def test_a_job_elsewhere_that_falls_silent_loses_the_folder_and_publishes_nothing_more(
    source: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "machine_name", lambda: "another machine")
    sleeper = OutputFolder.open(bucket.uri("out"), planned(source))
    attempt = sleeper.attempt(sleeper.plan.units[0])
    for batch in TABLE.slice(0, 100).to_batches():
        attempt.write(batch)
    monkeypatch.undo()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "")
    monkeypatch.setattr(lease, "LASTS", 0.0)
    deadline = threading.Event()
    # The store's clock has whole seconds.
    deadline.wait(2.1)
    heir = OutputFolder.open(bucket.uri("out"), planned(source))
    with pytest.raises(OutputError, match="was taken over by another job"):
        attempt.publish()
    assert not bucket.keys("out/part-")
    heir.close()
    sleeper.close()


def test_other_input_is_refused_and_overwritten_when_asked(source: Path, tmp_path: Path, bucket: Bucket) -> None:
    copied(source, bucket.uri("out"))
    other = write_parquet(tmp_path / "other.parquet", mixed_table(90, 3), 30)
    with pytest.raises(PlanMismatchError, match="holds the output of another job"):
        copied(other, bucket.uri("out"), target_rows=30)
    assert bucket.parts("out").equals(TABLE)
    copied(other, bucket.uri("out"), target_rows=30, overwrite=True)
    assert bucket.parts("out").equals(mixed_table(90, 3))
    report = verify_output(bucket.uri("out"))
    assert report.complete and report.units == 3
    assert not bucket.keys("out.recinfer-new")
    assert json.loads(bucket.get("out/_SUCCESS"))["rows"] == 90


def test_an_overwriting_job_that_stops_leaves_the_old_output_whole(
    source: Path, tmp_path: Path, bucket: Bucket
) -> None:
    copied(source, bucket.uri("out"))
    before = bucket.content("out/")
    other = write_parquet(tmp_path / "other.parquet", mixed_table(90, 3), 30)
    with pytest.raises(KeyboardInterrupt):
        copied(other, bucket.uri("out"), target_rows=30, overwrite=True, on_unit=stop_after(2))
    after = {name: content for name, content in bucket.content("out/").items() if "/lease/" not in name}
    assert after == {name: content for name, content in before.items() if "/lease/" not in name}
    assert verify_output(bucket.uri("out")).complete
    copied(other, bucket.uri("out"), target_rows=30, overwrite=True)
    assert bucket.parts("out").equals(mixed_table(90, 3)) and verify_output(bucket.uri("out")).complete


@pytest.mark.parametrize("steps", [(15,), pytest.param(range(200), marks=pytest.mark.slow)])
def test_a_swap_that_is_cut_anywhere_is_ended_by_the_next_job(
    tmp_path: Path, bucket: Bucket, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch, steps: Sequence[int]
) -> None:
    monkeypatch.setattr(client_module, "TRIES", 1)
    # A job that cannot reach the store cannot give its lease back either; its process would be gone.
    monkeypatch.setattr(lease, "process_is_gone", lambda note: True)
    old = write_parquet(tmp_path / "old.parquet", mixed_table(60, 1), 20)
    new = write_parquet(tmp_path / "new.parquet", mixed_table(40, 2), 20)
    seen = set()
    for step in steps:
        target = bucket.uri(f"{step}/out")
        copied(old, target, target_rows=20)
        try:
            with proxy.fault("503", after_writes(step), times=10_000):
                copied(new, target, target_rows=20, overwrite=True)
            break
        except OutputError:
            seen.add(state := "old" if verify_output(target).complete else "between")
            assert (f"{step}/out/_SUCCESS" in bucket.keys(f"{step}/")) == (state == "old"), step
            if state == "between":
                assert verify_output(bucket.uri(f"{step}/out.recinfer-new")).complete, step
            else:
                assert len(bucket.parts(f"{step}/out")) in (60, 40), step
        copied(new, target, target_rows=20, overwrite=True)
        assert verify_output(target).complete and bucket.parts(f"{step}/out").equals(mixed_table(40, 2)), step
        assert not bucket.keys(f"{step}/out.recinfer-new"), step
    assert seen == ({"between"} if steps == (15,) else {"old", "between"})


def after_writes(most: int) -> Any:
    """Picks every request after so many that write."""
    count = [0]

    def late(request: Request) -> bool:
        count[0] += request.method not in ("GET", "HEAD")
        return count[0] > most

    return late


def test_verify_sees_damage(source: Path, bucket: Bucket) -> None:
    copied(source, bucket.uri("out"))
    part = bucket.get("out/part-00001.parquet")
    bucket.put("out/part-00001.parquet", part[:-1] + b"?")
    bucket.put("out/stray.parquet", b"")
    bucket.client.delete_object(Bucket=bucket.name, Key="out/part-00003.parquet")
    problems = verify_output(bucket.uri("out")).problems
    assert problems == [
        "part-00001.parquet is damaged: its content is not what was written",
        "part-00003.parquet is missing",
        "stray.parquet does not belong to the output",
    ]
    assert verify_output(bucket.uri("nothing")).problems == [
        f"{bucket.uri('nothing')} is no output of recinfer: it has no _recinfer/plan.json"
    ]


def test_a_server_that_is_not_there_is_given_up_soon(
    source: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    tries: list[float] = []
    monkeypatch.setattr(client_module.time, "sleep", tries.append)
    with pytest.raises(OutputError, match="the store did not answer") as error:
        copied(source, bucket.uri("out"))
    assert len(tries) == client_module.TRIES_TO_REACH - 1 and "AWS_ENDPOINT_URL" in str(error.value)
    with pytest.raises(InputError, match=r"cannot read s3://.*the store did not answer"):
        verify_output(bucket.uri("out"))


def test_what_cannot_be_written_is_said_at_once(source: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutputError, match="cannot write s3://no-such-bucket-here/out: the bucket does not exist"):
        copied(source, "s3://no-such-bucket-here/out")
    with pytest.raises(OutputError, match="is a whole bucket"):
        copied(source, bucket.uri())
    bucket.put("theirs/data.parquet", b"x")
    with pytest.raises(OutputError, match=r"holds files that recinfer has not written, such as data\.parquet"):
        copied(source, bucket.uri("theirs"))
    with pytest.raises(OutputError, match="no package that is installed knows oss://"):
        copied(source, "oss://bucket/out")


def test_a_role_that_may_not_list_uploads_can_write(source: Path, bucket: Bucket, proxy: FaultyProxy) -> None:
    with proxy.fault("403", lambda request: request.query.startswith("uploads")) as fault:
        copied(source, bucket.uri("out"))
    assert len(fault.hits) == 1 and bucket.parts("out").equals(TABLE)


def test_a_role_that_may_not_write_is_told_so(source: Path, bucket: Bucket, proxy: FaultyProxy) -> None:
    with (
        proxy.fault("403", lambda request: request.method == "PUT", times=100) as fault,
        pytest.raises(OutputError, match=r"cannot write s3://.*access denied"),
    ):
        copied(source, bucket.uri("out"))
    assert len(fault.hits) == 1
