"""A bucket as a test sees it: with boto3 alone, past everything that is tested."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True)
class Bucket:
    """A bucket of the test server."""

    name: str
    client: Any

    def uri(self, key: str = "") -> str:
        return f"s3://{self.name}/{key}"

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=content)

    def put_table(self, key: str, table: pa.Table, group_rows: int) -> None:
        sink = io.BytesIO()
        pq.write_table(table, sink, row_group_size=group_rows)
        self.put(key, sink.getvalue())

    def put_folder(self, prefix: str, folder: Path) -> None:
        for path in folder.rglob("*"):
            if path.is_file():
                self.put(f"{prefix}/{path.relative_to(folder)}", path.read_bytes())

    def get(self, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=self.name, Key=key)["Body"].read())

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def content(self, prefix: str) -> dict[str, bytes]:
        return {key.removeprefix(prefix): self.get(key) for key in self.keys(prefix)}

    def parts(self, folder: str) -> pa.Table:
        """The rows of an output folder's Parquet parts, in order."""
        names = sorted(key for key in self.keys(f"{folder}/part-"))
        return pa.concat_tables([pq.read_table(io.BytesIO(self.get(name))) for name in names])

    def unfinished_uploads(self) -> list[str]:
        return [item["Key"] for item in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])]
