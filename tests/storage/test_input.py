"""Input tables on S3: listing, ranged reads, and stores that fail in the middle."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from recinfer.data.inputs import list_inputs
from recinfer.data.readers import open_reader
from recinfer.data.readers.csv_options import CsvOptions
from recinfer.data.storage import input_filesystem
from recinfer.data.table_copy import copy_table
from recinfer.errors import InputError, OutputError, UsageError
from tests.data_room.tables import mixed_table, read_parts
from tests.storage.buckets import Bucket
from tests.storage.faulty_proxy import FaultyProxy, Request

TABLE = mixed_table(400)


def names(spec: str, bucket: Bucket) -> list[str]:
    return [file.path.removeprefix(bucket.uri()) for file in list_inputs(spec)]


def test_folders_globs_and_lists(bucket: Bucket) -> None:
    for key in (
        "in/a/1.parquet",
        "in/a/2.parquet",
        "in/b/1.parquet",
        "in/_SUCCESS",
        "in/.hidden/3.parquet",
        "in/c.csv",
    ):
        bucket.put(key, key.encode())
    uri = bucket.uri
    assert names(uri("in"), bucket) == ["in/a/1.parquet", "in/a/2.parquet", "in/b/1.parquet", "in/c.csv"]
    assert names(uri("in/"), bucket) == names(uri("in"), bucket)
    assert names(uri("in/*/1.parquet"), bucket) == ["in/a/1.parquet", "in/b/1.parquet"]
    assert names(uri("in/**/*.parquet"), bucket) == ["in/a/1.parquet", "in/a/2.parquet", "in/b/1.parquet"]
    assert names(uri("in/?/[2-9].parquet"), bucket) == ["in/a/2.parquet"]
    assert names(f"{uri('in/c.csv')},{uri('in/b')}", bucket) == ["in/b/1.parquet", "in/c.csv"]
    [file] = list_inputs(uri("in/c.csv"))
    assert file.size == 8 and file.mtime_ns > 0


@pytest.mark.slow
def test_more_files_than_a_page_of_the_listing_holds(bucket: Bucket) -> None:
    for number in range(1005):
        bucket.put(f"many/{number:04d}.csv", b"")
    assert names(bucket.uri("many"), bucket) == [f"many/{number:04d}.csv" for number in range(1005)]


def test_the_endpoint_may_stand_in_the_uri(
    bucket: Bucket, server: tuple[str, int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    bucket.put_table("in/t.parquet", TABLE, 100)
    query = "?endpoint_override={}:{}&scheme=http".format(*server)
    for spec in (f"in{query}", f"in/*.parquet{query}", f"in/?.parquet{query}"):
        [file] = list_inputs(bucket.uri(spec))
        assert file.path == bucket.uri(f"in/t.parquet{query}")
    copy_table(bucket.uri(f"in{query}"), bucket.uri(f"out{query}"), target_rows=100)
    assert bucket.parts("out").equals(TABLE)


def test_only_the_row_groups_and_columns_that_are_asked_for_are_read(bucket: Bucket, proxy: FaultyProxy) -> None:
    random = np.random.default_rng(0)
    wide = pa.table({f"c{number}": random.random(200_000) for number in range(8)})
    bucket.put_table("wide.parquet", wide, 50_000)
    size = len(bucket.get("wide.parquet"))
    reader = open_reader(bucket.uri("wide.parquet"))
    units = reader.units(target_rows=50_000)
    proxy.requests.clear()
    [batch] = reader.read(units[2], ["c3"], 50_000)
    assert batch.column(0).equals(wide["c3"].slice(100_000, 50_000).combine_chunks())
    gets = [request for request in proxy.requests if request.method == "GET"]
    assert gets and all(request.headers["range"].startswith("bytes=") for request in gets)
    spans = [request.headers["range"].removeprefix("bytes=").split("-") for request in gets]
    assert sum(int(last) - int(first) + 1 for first, last in spans) < size / 16


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_csv_is_read_in_ranges(bucket: Bucket, proxy: FaultyProxy, name: str, tmp_path: Path) -> None:
    import gzip

    sink = io.StringIO()
    writer = csv.writer(sink)
    writer.writerow(["id", "name"])
    writer.writerows([number, f"name {number}"] for number in range(3000))
    text = sink.getvalue().encode()
    bucket.put(f"in/{name}", gzip.compress(text) if name.endswith("gz") else text)
    copy_table(bucket.uri("in"), tmp_path / "out", target_rows=1000, csv=CsvOptions(with_header=True))
    assert read_parts(tmp_path / "out")["id"].to_pylist() == list(range(3000))
    gets = [request for request in proxy.requests if request.method == "GET" and "list-type" not in request.query]
    assert gets and all("range" in request.headers for request in gets)


def body(request: Request) -> bool:
    return request.method == "GET" and "range" in request.headers


@pytest.mark.parametrize(
    "kind", ["drop_answer", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("503", "no_answer"))]
)
def test_a_read_that_fails_is_repeated(bucket: Bucket, proxy: FaultyProxy, tmp_path: Path, kind: str) -> None:
    bucket.put_table("in/t.parquet", TABLE, 100)
    with proxy.fault(kind, body, times=2) as fault:
        copy_table(bucket.uri("in"), tmp_path / "out", target_rows=100)
    assert len(fault.hits) == 2
    assert read_parts(tmp_path / "out").equals(TABLE)


def test_a_store_that_stays_away_is_one_clear_error(
    bucket: Bucket, proxy: FaultyProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(input_filesystem, "TRIES", 2)
    bucket.put_table("in/t.parquet", TABLE, 100)
    with proxy.fault("503", body, times=1000), pytest.raises(InputError, match=r"cannot read s3://.*503") as error:
        copy_table(bucket.uri("in"), tmp_path / "out")
    assert "run the same command later" in str(error.value)
    copy_table(bucket.uri("in"), tmp_path / "out")
    assert read_parts(tmp_path / "out").equals(TABLE)


def test_an_input_that_changes_after_the_plan_is_an_error(bucket: Bucket) -> None:
    bucket.put_table("in/t.parquet", TABLE, 100)
    reader = open_reader(bucket.uri("in"))
    [unit] = reader.units()
    bucket.put_table("in/t.parquet", mixed_table(401), 100)
    with pytest.raises(InputError, match="the input changed since the plan"):
        list(reader.read(unit))


def test_what_is_not_there_is_said_at_once(bucket: Bucket, variables: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for spec in (bucket.uri("nothing"), "s3://no-such-bucket-here/in", bucket.uri("nothing/*.parquet")):
        with pytest.raises(InputError, match=r"does not exist|no input matches"):
            list_inputs(spec)
    with pytest.raises(UsageError, match="holds credentials") as error:
        list_inputs("s3://AKIA123:secret@bucket/in")
    assert "secret" not in str(error.value) and "AKIA123" not in str(error.value)
    with pytest.raises(UsageError, match="the option 'endpoint' is not known"):
        list_inputs("s3://bucket/in?endpoint=x")
    with pytest.raises(UsageError, match="names no bucket"):
        list_inputs("s3:///in")
    with pytest.raises(InputError, match="no package that is installed knows gs://") as error:
        list_inputs("gs://bucket/in")
    assert "pip install gcsfs" in str(error.value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    input_filesystem.s3_filesystem.cache_clear()
    with pytest.raises(InputError, match=r"cannot open s3://.*no store answers at http://127\.0\.0\.1:9") as error:
        list_inputs(bucket.uri("in"))
    assert "AWS_ENDPOINT_URL" in str(error.value)


def test_output_and_input_must_not_lie_within_each_other(bucket: Bucket) -> None:
    bucket.put_table("in/a/t.parquet", TABLE, 100)
    with pytest.raises(OutputError, match="lies in the input"):
        copy_table(bucket.uri("in"), bucket.uri("in/out"))
    with pytest.raises(OutputError, match="lies in the output folder"):
        copy_table(bucket.uri("in/a"), bucket.uri("in"))


def test_no_credentials_lie_in_the_output(bucket: Bucket) -> None:
    bucket.put_table("in/t.parquet", TABLE, 100)
    copy_table(bucket.uri("in"), bucket.uri("out"), target_rows=100)
    held: dict[str, Any] = {name: text for name, text in bucket.content("out/").items() if not name.startswith("part")}
    assert held and not any(b"secret" in text for text in held.values())
