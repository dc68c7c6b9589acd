"""Jobs on S3 that die by SIGKILL, and go on here or on another machine; and jobs of many processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from recinfer.data.commit import OutputFolder
from recinfer.data.plan import make_plan
from recinfer.data.readers import open_reader
from recinfer.data.storage import lease, scratch
from recinfer.data.table_copy import copy_table
from recinfer.data.verify import verify_output
from recinfer.errors import OutputError
from tests.data_room.tables import mixed_table, write_parquet
from tests.storage.buckets import Bucket
from tests.storage.faulty_proxy import FaultyProxy, Request
from tests.storage.jobs import start
from tests.storage.test_output import WIDE
from tests.synthetic import make_table
from tests.torchrun import free_port

TABLE = mixed_table(400)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_parquet(tmp_path / "in" / "t.parquet", TABLE, 100)


def killed(source: Path, target: str, units: int) -> None:
    job = start(source, target, units, 100)
    assert job.wait(60) == -signal.SIGKILL


def test_a_killed_job_goes_on_at_once_on_its_own_machine(source: Path, bucket: Bucket, proxy: FaultyProxy) -> None:
    killed(source, bucket.uri("out"), 2)
    report = verify_output(bucket.uri("out"))
    assert report.parts == 2 and not report.complete
    before = len(proxy.requests)
    copy_table(str(source), bucket.uri("out"), target_rows=100)
    again = {request.path for request in proxy.requests[before:] if request.method == "PUT" and "part-" in request.path}
    assert sorted(path[-13:] for path in again) == ["00002.parquet", "00003.parquet"]
    assert bucket.parts("out").equals(TABLE) and verify_output(bucket.uri("out")).complete


def test_another_machine_waits_for_the_silence_of_a_killed_job(
    source: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(source, bucket.uri("out"), 1)
    monkeypatch.setattr(lease, "process_is_gone", lambda note: False)
    with pytest.raises(
        OutputError, match=r"in use by another job \(pid \d+ on .*; last sign of life \d+ s ago"
    ) as said:
        copy_table(str(source), bucket.uri("out"), target_rows=100)
    assert "counts as dead 60 s after its last sign" in str(said.value)
    monkeypatch.setattr(lease, "LASTS", 1.0)
    # The store's clock has whole seconds.
    time.sleep(2.1)
    copy_table(str(source), bucket.uri("out"), target_rows=100)
    assert bucket.parts("out").equals(TABLE) and verify_output(bucket.uri("out")).complete


def test_the_lease_of_a_living_job_is_renewed(source: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT", 0.2)
    monkeypatch.setattr(lease, "LASTS", 2.0)
    reader = open_reader(str(source))
    plan = make_plan(reader, reader.schema, target_rows=100)
    with OutputFolder.open(bucket.uri("out"), plan):
        time.sleep(3.5)
        monkeypatch.setattr(lease, "machine_name", lambda: "another machine")
        with pytest.raises(OutputError, match="in use by another job"):
            OutputFolder.open(bucket.uri("out"), plan)


def test_killed_in_the_middle_of_an_upload_in_pieces(
    tmp_path: Path, bucket: Bucket, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    drafts = tmp_path / "tmp"
    drafts.mkdir()
    monkeypatch.setenv("TMPDIR", str(drafts))
    source = write_parquet(tmp_path / "big.parquet", WIDE, len(WIDE))
    jobs: list[subprocess.Popen[bytes]] = []

    def at_the_second_piece(request: Request) -> bool:
        if "partNumber=2" not in request.query:
            return False
        jobs[0].kill()
        return True

    with proxy.fault("drop_request", at_the_second_piece):
        jobs.append(start(source, bucket.uri("out"), 0, len(WIDE)))
        assert jobs[0].wait(60) == -signal.SIGKILL
    assert bucket.unfinished_uploads() == ["out/part-00000.parquet"] and not bucket.keys("out/part-")
    monkeypatch.setattr(tempfile, "tempdir", str(drafts))
    monkeypatch.setattr(scratch, "YOUNG", 0.0)
    [left] = drafts.glob("recinfer-drafts-*")
    copy_table(str(source), bucket.uri("out"), target_rows=len(WIDE))
    assert bucket.parts("out").equals(WIDE) and verify_output(bucket.uri("out")).complete
    assert not bucket.unfinished_uploads()
    assert not left.exists() and not list(drafts.glob("recinfer-*"))


def test_other_processes_take_part_and_stop_when_the_folder_is_taken_over(source: Path, bucket: Bucket) -> None:
    reader = open_reader(str(source))
    plan = make_plan(reader, reader.schema, target_rows=100)
    first = OutputFolder.open(bucket.uri("out"), plan)
    with OutputFolder.join(str(first.layout.root), str(first.target), plan) as member:
        publish(member, 1)
        assert [unit.index for unit in first.recount()] == [0, 2, 3]
        publish(first, 0)
        first.close()
        with OutputFolder.open(bucket.uri("out"), plan) as heir:
            with pytest.raises(OutputError, match="was taken over by another job"):
                publish(member, 2)
            publish(heir, 2)
            publish(heir, 3)
            heir.finish()
    assert bucket.parts("out").equals(TABLE) and verify_output(bucket.uri("out")).complete


def publish(folder: OutputFolder, index: int) -> None:
    unit = folder.plan.units[index]
    attempt = folder.attempt(unit)
    for batch in TABLE.slice(unit.first_row, unit.rows).to_batches():
        attempt.write(batch)
    attempt.publish()


@pytest.mark.slow
def test_ranks_under_torchrun_share_a_bucket(
    exported: Callable[[str], Path], bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    bucket.put_folder("export", exported("wide_and_deep"))
    bucket.put_table("in/t.parquet", make_table(500, 5), 100)
    paths = ["--predict_input_path", bucket.uri("in"), "--reserved_columns", "row_id"]
    paths += ["--scripted_model_path", bucket.uri("export")]
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    launch += [f"--master-port={free_port()}", "-m"]
    for prefix, target in ((launch, "ranks"), ([sys.executable, "-m"], "one")):
        command = [*prefix, "recinfer.predict", *paths, "--predict_output_path", bucket.uri(target)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, env=dict(os.environ))
        assert done.returncode == 0, done.stderr
    held = {name: text for name, text in bucket.content("ranks/").items() if name.startswith("part-")}
    assert held == {name: text for name, text in bucket.content("one/").items() if name.startswith("part-")}
    assert verify_output(bucket.uri("ranks")).complete
    assert bucket.parts("ranks")["row_id"].to_pylist() == list(range(500))
