#!/usr/bin/env python3
"""Writes MovieLens-100K as Parquet: train, valid and test, split by time, with what each user had liked before.

MovieLens may not be redistributed, so it is taken out of a public package that carries it as an example: the wheel is
downloaded with pip, opened as a zip file, and nothing of it is installed or run. The data's terms of use are those of
GroupLens Research.

Usage: get_movielens.py [FOLDER]    (default: quickstart/data; does nothing where the folder already holds the data)
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import movielens_features as features
import pyarrow as pa
import pyarrow.parquet as pq

PACKAGE = "recbole==1.2.1"
FOLDER = "recbole/dataset_example/ml-100k"
MAX_WHEEL_BYTES = 16 << 20
MAX_FILE_BYTES = 4 << 20
FORMAT = 1

# member -> header, rows, SHA-256
FILES = {
    "ml-100k.user": (
        "user_id:token age:token gender:token occupation:token zip_code:token",
        features.USERS,
        "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
    ),
    "ml-100k.item": (
        "item_id:token movie_title:token_seq release_year:token class:token_seq",
        features.ITEMS,
        "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
    ),
    "ml-100k.inter": (
        "user_id:token item_id:token rating:float timestamp:float",
        100_000,
        "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    ),
}

# Small files and row groups, so that even this little data makes several work units.
ROWS_PER_FILE = {"train": 10_000, "valid": 2_500, "test": 2_500}
ROWS_PER_GROUP = 1_000

SCHEMA = pa.schema(
    [
        ("row_id", pa.int64()),
        ("timestamp", pa.int64()),
        ("rating", pa.float32()),
        ("label", pa.int64()),
        ("user_id", pa.int64()),
        ("age_bucket", pa.int64()),
        ("gender", pa.int64()),
        ("occupation", pa.int64()),
        ("zip_prefix", pa.int64()),
        ("item_id", pa.int64()),
        ("year_bucket", pa.int64()),
        ("genres", pa.list_(pa.int64())),
        ("main_genre", pa.int64()),
        ("user_ratings", pa.float32()),
        ("user_likes", pa.float32()),
        ("item_ratings", pa.float32()),
        ("item_likes", pa.float32()),
        ("hist__item_id", pa.list_(pa.int64())),
        ("hist__main_genre", pa.list_(pa.int64())),
        ("disliked", pa.list_(pa.int64())),
    ]
)


class BadDownload(Exception):
    """The package does not hold the files that are expected."""


def download(folder: Path) -> Path:
    """Has pip fetch the wheel into ``folder``; wheels only, since building a source package would run its code."""
    command = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, "--only-binary=:all:", "--dest", str(folder), PACKAGE], check=True)
    return next(folder.glob("*.whl"))


def read_member(wheel: Path, name: str) -> list[list[str]]:
    """The rows of one table in the wheel, header left out.

    Raises:
        BadDownload: the file is missing, larger than it may be, or not the one expected.
    """
    header, rows, digest = FILES[name]
    if wheel.stat().st_size > MAX_WHEEL_BYTES:
        raise BadDownload(f"{wheel.name}: {wheel.stat().st_size} bytes, more than {MAX_WHEEL_BYTES}")
    with zipfile.ZipFile(wheel) as archive:
        try:
            member = archive.open(f"{FOLDER}/{name}")
        except KeyError:
            raise BadDownload(f"{wheel.name}: no file {FOLDER}/{name}") from None
        with member:
            # One byte over the cap is enough to know, whatever size the archive claims.
            content = member.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise BadDownload(f"{name}: more than {MAX_FILE_BYTES} bytes")
    table = parse_table(name, content, header, rows)
    if hashlib.sha256(content).hexdigest() != digest:
        raise BadDownload(f"{name}: not the MovieLens-100K that this script was written for (SHA-256 differs)")
    return table


def parse_table(name: str, content: bytes, header: str, rows: int) -> list[list[str]]:
    """Splits a tab-separated table and holds it against its header and row count."""
    first, *lines = content.decode("utf-8").splitlines()
    columns = header.split(" ")
    if first.split("\t") != columns:
        raise BadDownload(f"{name}: header {first!r}, expected {header!r}")
    table = [line.split("\t") for line in lines if line]
    if len(table) != rows:
        raise BadDownload(f"{name}: {len(table)} rows, expected {rows}")
    for number, fields in enumerate(table, 2):
        if len(fields) != len(columns):
            raise BadDownload(f"{name}, line {number}: {len(fields)} columns, expected {len(columns)}")
    return table


def build_splits(wheel: Path) -> dict[str, list[dict[str, object]]]:
    """Split name -> rows.

    Train is shuffled, always in the same way: read in time order, each batch would be a few users' one evening.
    """
    users = {user.user_id: user for user in map(features.parse_user, read_member(wheel, "ml-100k.user"))}
    items = {item.item_id: item for item in map(features.parse_item, read_member(wheel, "ml-100k.item"))}
    ratings = features.in_time_order([features.parse_rating(row) for row in read_member(wheel, "ml-100k.inter")])
    rows = list(features.build_rows(users, items, ratings))
    ranges = features.split_by_time([rating.timestamp for rating in ratings])
    splits = {name: [rows[i] for i in span] for name, span in zip(ROWS_PER_FILE, ranges, strict=True)}
    random.Random(0).shuffle(splits["train"])
    return splits


def write_split(rows: Sequence[dict[str, object]], folder: Path, rows_per_file: int) -> None:
    folder.mkdir(parents=True)
    for number, start in enumerate(range(0, len(rows), rows_per_file)):
        table = pa.Table.from_pylist(list(rows[start : start + rows_per_file]), schema=SCHEMA)
        pq.write_table(table, folder / f"part-{number:05d}.parquet", row_group_size=ROWS_PER_GROUP, compression="zstd")


def is_current(folder: Path) -> bool:
    """Whether the folder was finished by this version of the script; the summary file is written last."""
    try:
        return json.loads((folder / "_movielens.json").read_text())["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError):
        return False


def write_all(splits: dict[str, list[dict[str, object]]], folder: Path) -> dict[str, object]:
    """Writes beside ``folder`` and swaps at the end, so that a stop half-way leaves nothing that looks complete."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name, rows in splits.items():
            write_split(rows, staging / name, ROWS_PER_FILE[name])
        counts = {name: len(rows) for name, rows in splits.items()}
        summary = {"format": FORMAT, "rows": counts, "cardinality": features.CARDINALITY}
        (staging / "_movielens.json").write_text(json.dumps(summary, indent=2) + "\n")
        staging.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return summary


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path("quickstart/data"), help="where train, valid and test go"
    )
    parser.add_argument("--wheel", type=Path, help=f"a downloaded wheel of {PACKAGE}, instead of downloading it")
    parser.add_argument("--force", action="store_true", help="write again even where the folder holds the data")
    options = parser.parse_args(arguments)
    folder: Path = options.folder
    if is_current(folder) and not options.force:
        print(f"movielens: {folder} is up to date")
        return 0
    if folder.exists() and any(folder.iterdir()) and not (folder / "_movielens.json").exists():
        print(f"movielens: {folder} holds something else; name another folder", file=sys.stderr)
        return 1
    try:
        with tempfile.TemporaryDirectory() as scratch:
            splits = build_splits(options.wheel or download(Path(scratch)))
        summary = write_all(splits, folder)
    except (BadDownload, OSError, subprocess.CalledProcessError, zipfile.BadZipFile) as error:
        print(f"movielens: {error}", file=sys.stderr)
        return 1
    print(f"movielens: wrote {folder}: {summary['rows']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
