"""Stores that fsspec reads, tried with its file system in memory, which has no server that could fail by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from recinfer.data.readers.csv_options import CsvOptions
from recinfer.data.storage import client as client_module
from recinfer.data.storage import clients, fsspec_client
from recinfer.data.storage.clients import client_of
from recinfer.data.storage.remote_path import RemotePath, parse_remote
from recinfer.data.storage.store_error import StoreError
from recinfer.data.table_copy import copy_table
from recinfer.data.verify import verify_output
from recinfer.errors import InputError, OutputError, PlanMismatchError
from tests.data_room.tables import mixed_table, read_parts, write_parquet

TABLE = mixed_table(400)
REQUESTS = ("cat_file", "pipe_file", "put_file", "info", "find", "ls", "cp_file", "rm_file")


class BusyError(Exception):
    """As packages for stores raise it: of their own making, with the status of HTTP."""

    code = 503


class BusyFileSystem(MemoryFileSystem):
    """Each kind of request fails twice."""

    protocol = "busy"
    failed: dict[str, int] = {}  # noqa: RUF012


def busy(name: str) -> Any:
    def request(self: BusyFileSystem, *args: Any, **named: Any) -> Any:
        if self.failed.setdefault(name, 0) < 2:
            self.failed[name] += 1
            raise BusyError("try again later")
        return getattr(MemoryFileSystem, name)(self, *args, **named)

    return request


for each in REQUESTS:
    setattr(BusyFileSystem, each, busy(each))


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryFileSystem]:
    monkeypatch.setattr(client_module, "FIRST_WAIT", 0.001)
    filesystem = fsspec.filesystem("memory")
    filesystem.store.clear()
    filesystem.pseudo_dirs[:] = [""]
    yield filesystem
    clients._open.clear()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_parquet(tmp_path / "in" / "t.parquet", TABLE, 100)


@pytest.mark.parametrize("with_folders", [False, True])
def test_a_table_goes_in_and_out(
    source: Path, tmp_path: Path, memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch, with_folders: bool
) -> None:
    if with_folders:
        monkeypatch.setattr(fsspec_client, "WITH_FOLDERS", {"memory"})
        monkeypatch.setattr(fsspec_client, "CREATING", set())
    target = "memory://bucket/deep/out"
    copy_table(str(source), target, target_rows=100)
    assert verify_output(target).complete
    assert copy_table(str(source), target, target_rows=100).already_complete
    assert pq.read_table(memory.open("/bucket/deep/out/part-00002.parquet")).equals(TABLE.slice(200, 100))
    copy_table(target, tmp_path / "back", target_rows=100)
    assert read_parts(tmp_path / "back").equals(TABLE)
    copy_table("memory://bucket/deep/*/part-0000[12].*", tmp_path / "two", target_rows=100)
    assert read_parts(tmp_path / "two").equals(TABLE.slice(100, 200))
    other = write_parquet(tmp_path / "other.parquet", mixed_table(90, 3), 30)
    with pytest.raises(PlanMismatchError):
        copy_table(str(other), target, target_rows=30)
    copy_table(str(other), target, target_rows=30, overwrite=True)
    assert verify_output(target).units == 3 and verify_output(target).complete
    assert not memory.find("/bucket/deep/out.recinfer-new")
    hidden = [name for name in memory.find("/bucket") if "/." in name]
    assert not hidden


def test_a_job_that_stops_goes_on(source: Path, memory: MemoryFileSystem) -> None:
    def stop(unit: Any) -> None:
        if unit.index == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_table(str(source), "memory://bucket/out", target_rows=100, on_unit=stop)
    written = memory.modified("/bucket/out/part-00001.parquet")
    memory.pipe_file("/bucket/out/part-00002.parquet", b"not recorded")
    copy_table(str(source), "memory://bucket/out", target_rows=100)
    assert verify_output("memory://bucket/out").complete
    assert memory.modified("/bucket/out/part-00001.parquet") == written


def test_a_store_that_is_busy_is_asked_again(
    source: Path, monkeypatch: pytest.MonkeyPatch, memory: MemoryFileSystem
) -> None:
    fsspec.register_implementation("busy", BusyFileSystem, clobber=True)
    BusyFileSystem.failed.clear()
    monkeypatch.setattr(client_module, "TRIES_TO_REACH", 9)
    copy_table(str(source), "busy://bucket/out", target_rows=100)
    assert verify_output("busy://bucket/out").complete
    assert BusyFileSystem.failed["put_file"] == BusyFileSystem.failed["pipe_file"] == 2
    BusyFileSystem.failed = dict.fromkeys(REQUESTS, -1000)
    with pytest.raises(OutputError, match="cannot write busy://bucket/more: try again later"):
        copy_table(str(source), "busy://bucket/more", target_rows=100)


def test_what_is_created_is_not_created_again(memory: MemoryFileSystem, tmp_path: Path) -> None:
    client = client_of(parse_remote("memory://bucket/x"))
    client.create("x/a", b"one")
    with pytest.raises(FileExistsError):
        client.create("x/a", b"two")
    (tmp_path / "file").write_bytes(b"three")
    client.create_from("x/b", tmp_path / "file")
    client.create_from("x/b", tmp_path / "file")
    (tmp_path / "file").write_bytes(b"other")
    with pytest.raises(FileExistsError):
        client.create_from("x/b", tmp_path / "file")
    assert client.read("x/a") == b"one" and client.read("x/b") == b"three"
    assert [info.key for info in client.below("x/")] == ["x/a", "x/b"]
    assert client.entries("") == ([], ["x"])
    assert client.info("x") is None and client.below("nothing/") == [] and client.entries("nothing/") == ([], [])


@pytest.mark.parametrize(
    ("scheme", "package"), [("gs", "gcsfs"), ("oss", "ossfs"), ("abfs", "adlfs"), ("s4", "use a local path")]
)
def test_a_missing_package_is_named(source: Path, scheme: str, package: str) -> None:
    with pytest.raises(OutputError, match=f"no package that is installed knows {scheme}://") as error:
        copy_table(str(source), f"{scheme}://bucket/out")
    assert package in str(error.value)
    with pytest.raises(InputError, match=f"no package that is installed knows {scheme}://"):
        copy_table(f"{scheme}://bucket/in", "memory://bucket/out")


def test_hdfs_without_its_libraries_says_what_to_set(source: Path) -> None:
    with pytest.raises(OutputError, match=r"libhdfs|libjvm") as error:
        copy_table(str(source), "hdfs://namenode:8020/out")
    assert "HADOOP_HOME" in str(error.value)


def test_csv_in_a_store(memory: MemoryFileSystem, tmp_path: Path) -> None:
    table = TABLE.select(["id", "score"])
    with memory.open("/bucket/in/t.csv", "wb") as file:
        pc.write_csv(table, file)
    copy_table("memory://bucket/in", tmp_path / "out", csv=CsvOptions(with_header=True))
    assert read_parts(tmp_path / "out")["id"].to_pylist() == list(range(400))


def test_names_of_places() -> None:
    place = parse_remote("s3://bucket//a/b/?region=eu-west-1&scheme=http")
    assert place == RemotePath("s3", "bucket", "a/b", "region=eu-west-1&scheme=http")
    assert str(place / "c") == "s3://bucket/a/b/c?region=eu-west-1&scheme=http"
    assert place.name == "b" and str(place.with_name("d")) == "s3://bucket/a/d?region=eu-west-1&scheme=http"
    assert [each.key for each in place.parents] == ["a", ""]
    assert parse_remote("s3://bucket/a?.parquet").key == "a?.parquet"
    assert parse_remote("hdfs://host:8020/a").bucket == "host:8020"


def test_a_download_that_comes_short_is_an_error(memory: MemoryFileSystem, tmp_path: Path) -> None:
    client = client_of(parse_remote("memory://bucket/x"))
    client.write("x", b"12345")
    info = client.info("x")
    assert info is not None
    memory.pipe_file("/bucket/x", b"123")
    with pytest.raises(StoreError, match="3 of 5 bytes came"):
        list(client._pieces(info))
