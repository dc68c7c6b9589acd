"""S3, and what speaks its protocol, through boto3: pyarrow's client offers no conditional writes."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from recinfer.data.storage.client import PIECE_BYTES, ObjectClient, ObjectInfo
from recinfer.data.storage.remote_path import RemotePath
from recinfer.data.storage.s3_errors import explain
from recinfer.data.storage.store_error import StoreError

logger = logging.getLogger(__name__)

MOST_PIECES = 10_000
# Above this S3 copies piece by piece alone.
COPY_AT_ONCE = 5 << 30


class S3Client(ObjectClient):
    """One bucket. Region, endpoint and credentials come from the URI's options and from where boto3 looks for them.

    Raises:
        StoreError: boto3 is not installed, or a profile that is asked for is unknown.
    """

    def __init__(self, place: RemotePath) -> None:
        super().__init__()
        self.bucket = place.bucket
        self._client = self._connect(place.options)

    def _connect(self, options: dict[str, str]) -> Any:
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError
        except ImportError as error:
            raise StoreError("the package boto3 is not installed", "pip install boto3") from error
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 1},
            connect_timeout=10,
            read_timeout=60,
            max_pool_connections=32,
        )
        try:
            # A session of its own: the default one is shared, and not safe to begin with from several threads.
            session = boto3.session.Session(region_name=options.get("region"))
            region = session.region_name or "us-east-1"
            return session.client("s3", region_name=region, endpoint_url=endpoint_of(options), config=config)
        except (BotoCoreError, ValueError) as error:
            raise explain(error, self.bucket) or error from error

    def _read(self, key: str) -> bytes:
        return _body(self._client.get_object(Bucket=self.bucket, Key=key))

    def _read_range(self, info: ObjectInfo, first: int, size: int) -> bytes:
        answer = self._client.get_object(
            Bucket=self.bucket, Key=info.key, Range=f"bytes={first}-{first + size - 1}", IfMatch=info.version
        )
        return _body(answer, size)

    def _write(self, key: str, content: bytes) -> None:
        self._client.put_object(Bucket=self.bucket, Key=key, Body=content)

    def _create(self, key: str, content: bytes) -> None:
        self._client.put_object(Bucket=self.bucket, Key=key, Body=content, IfNoneMatch="*")

    def _upload(self, key: str, path: Path, create: bool) -> None:
        condition = {"IfNoneMatch": "*"} if create else {}
        size = path.stat().st_size
        if size <= PIECE_BYTES:
            content = path.read_bytes()
            self._patiently(
                key, lambda: self._client.put_object(Bucket=self.bucket, Key=key, Body=content, **condition)
            )
            return
        begin = partial(self._client.create_multipart_upload, Bucket=self.bucket, Key=key)
        upload = self._patiently(key, lambda: _whole(begin(), "UploadId"))
        name = {"Bucket": self.bucket, "Key": key, "UploadId": upload["UploadId"]}
        try:
            with path.open("rb") as file:
                parts = self._upload_pieces(name, file, max(PIECE_BYTES, -(-size // MOST_PIECES)))
            complete = partial(
                self._client.complete_multipart_upload, **name, MultipartUpload={"Parts": parts}, **condition
            )
            self._patiently(key, lambda: _whole(complete(), "ETag"))
        except BaseException:
            self._abort(name)
            raise

    def _upload_pieces(self, name: dict[str, str], file: BinaryIO, piece_bytes: int) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        while content := file.read(piece_bytes):
            parts.append(self._patiently(name["Key"], partial(self._upload_piece, name, len(parts) + 1, content)))
        return parts

    def _upload_piece(self, name: dict[str, str], number: int, content: bytes) -> dict[str, Any]:
        answer = self._client.upload_part(**name, PartNumber=number, Body=content)
        return {"PartNumber": number, "ETag": _whole(answer, "ETag")["ETag"]}

    def drop_uploads(self, prefix: str) -> None:
        pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=prefix)
        try:
            found = self._patiently(prefix, lambda: list(pages))
        except StoreError as error:
            # Only space is lost: not every store lists uploads, and not every role may.
            logger.warning("%s: cannot look for uploads that were cut off: %s", self.bucket, error)
            return
        for page in found:
            for upload in page.get("Uploads", []):
                self._abort({"Bucket": self.bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]})

    def _abort(self, name: dict[str, str]) -> None:
        """Frees what was uploaded; a store that is gone keeps it until its own rule for cut-off uploads."""
        try:
            self._client.abort_multipart_upload(**name)
        except Exception as error:
            if explain(error, name["Key"]) is None:
                raise

    def _info(self, key: str) -> ObjectInfo | None:
        try:
            found = self._client.head_object(Bucket=self.bucket, Key=key)
        except Exception as error:
            if isinstance(explain(error, key), FileNotFoundError):
                return None
            raise
        _whole(found, "ContentLength", "LastModified", "ETag")
        return ObjectInfo(key, found["ContentLength"], found["LastModified"].timestamp(), found["ETag"])

    def _below(self, prefix: str) -> list[ObjectInfo]:
        return [_listed(item) for page in self._pages(prefix) for item in page.get("Contents", [])]

    def _entries(self, prefix: str) -> tuple[list[ObjectInfo], list[str]]:
        objects, folders = [], []
        for page in self._pages(prefix, Delimiter="/"):
            # Some tools mark a folder with an empty object of its name.
            objects += [_listed(item) for item in page.get("Contents", []) if item["Key"] != prefix]
            folders += [item["Prefix"].removeprefix(prefix).rstrip("/") for item in page.get("CommonPrefixes", [])]
        return objects, folders

    def _pages(self, prefix: str, **options: str) -> Any:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix, **options)
        return (_whole(page, "Name") for page in pages)

    def _copy(self, source: ObjectInfo, target: str) -> None:
        place = {"Bucket": self.bucket, "Key": source.key}
        if source.size < COPY_AT_ONCE:
            answer = self._client.copy_object(Bucket=self.bucket, Key=target, CopySource=place)
            _whole(answer, "CopyObjectResult")
        else:
            self._client.copy(place, self.bucket, target)

    def _delete(self, key: str) -> None:
        self._client.delete_object(Bucket=self.bucket, Key=key)

    def _explain(self, error: Exception, key: str) -> OSError | None:
        return explain(error, key)


def _whole(answer: dict[str, Any], *names: str) -> dict[str, Any]:
    """An answer that has these fields; one that broke off within its headers passes for a whole one elsewhere."""
    if not answer.keys() >= set(names):
        raise StoreError("the store's answer broke off", transient=True, answered=False)
    return answer


def _body(answer: dict[str, Any], size: int | None = None) -> bytes:
    content = bytes(_whole(answer, "ContentLength")["Body"].read())
    if len(content) != (answer["ContentLength"] if size is None else size):
        raise StoreError("the store's answer broke off", transient=True, answered=False)
    return content


def endpoint_of(options: dict[str, str]) -> str | None:
    """The address in a URI's options, as pyarrow reads them: a host, with the scheme apart or in front."""
    endpoint = options.get("endpoint_override")
    if endpoint is None or "://" in endpoint:
        return endpoint
    return f"{options.get('scheme', 'https')}://{endpoint}"


def _listed(item: dict[str, Any]) -> ObjectInfo:
    return ObjectInfo(item["Key"], item["Size"], item["LastModified"].timestamp(), item["ETag"])
