"""A server of S3 on loopback (moto's), and a proxy before it that can break requests."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from recinfer.data.storage import clients, input_filesystem
from tests.storage.buckets import Bucket
from tests.storage.faulty_proxy import FaultyProxy


@pytest.fixture(scope="session")
def server() -> Iterator[tuple[str, int]]:
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    # One line per request, which nobody reads and pytest would keep.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    yield moto.get_host_and_port()
    moto.stop()


@pytest.fixture
def variables(server: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials and nothing of the user's own settings."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def proxy(server: tuple[str, int], variables: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """The way to the server that all clients take."""
    proxy = FaultyProxy(server)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    yield proxy
    proxy.close()


@pytest.fixture
def bucket(server: tuple[str, int], proxy: FaultyProxy) -> Iterator[Bucket]:
    """A new bucket, with a client of the test's own that does not go through the proxy."""
    client: Any = boto3.client("s3", endpoint_url="http://{}:{}".format(*server), region_name="us-east-1")
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=name)
    yield Bucket(name, client)
    clients._open.clear()
    input_filesystem.s3_filesystem.cache_clear()
