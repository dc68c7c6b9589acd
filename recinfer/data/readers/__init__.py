"""Readers by the name that configs use: ``data_config.dataset_type``."""

from __future__ import annotations

from recinfer.data.inputs import PlannedTable, list_inputs
from recinfer.data.readers.base import Reader
from recinfer.data.readers.csv import CsvReader
from recinfer.data.readers.csv_file import CODECS, reading
from recinfer.data.readers.csv_options import CsvOptions
from recinfer.data.readers.parquet import ParquetReader
from recinfer.data.storage.input_filesystem import filesystem_of
from recinfer.data.storage.remote_path import without_query
from recinfer.errors import ConfigError, InputError

READERS: dict[str, type[Reader]] = {"ParquetDataset": ParquetReader, "CsvDataset": CsvReader}

SUFFIXES = {
    ".parquet": "ParquetDataset",
    ".parq": "ParquetDataset",
    ".pq": "ParquetDataset",
    ".csv": "CsvDataset",
    ".tsv": "CsvDataset",
    ".txt": "CsvDataset",
}


def open_reader(
    spec: str,
    dataset_type: str | None = None,
    csv: CsvOptions | None = None,
    threads: int = 1,
    planned: PlannedTable | None = None,
) -> Reader:
    """Opens a table.

    Args:
        spec: file, folder, glob, comma list or URI; see :func:`recinfer.data.inputs.list_inputs`.
        dataset_type: a key of :data:`READERS`, or None to go by the files' suffixes.
        csv: how to read CSV; unused for Parquet.
        threads: more than 1 lets Arrow's own pool help the thread that reads.
        planned: the table as a plan has it; ``dataset_type`` must be given then.

    Raises:
        ConfigError: the dataset type is unknown, or nothing names the columns of a CSV file.
        InputError: the input does not exist, cannot be read, or its files do not share one schema.
    """
    kind = dataset_type or guess_dataset_type(spec)
    if kind not in READERS:
        raise ConfigError(f"dataset type {kind} is not supported", f"use one of {', '.join(READERS)}")
    return CsvReader(spec, csv, threads, planned) if kind == "CsvDataset" else ParquetReader(spec, threads, planned)


def dataset_type_of(reader: Reader) -> str:
    """The key of :data:`READERS` whose class a reader has."""
    return next(name for name, kind in READERS.items() if type(reader) is kind)


def guess_dataset_type(spec: str) -> str:
    """The dataset type that the input files' suffixes (or Parquet's mark at their start) tell.

    Raises:
        InputError: they tell nothing, or not the same.
    """
    kinds: dict[str, str] = {}
    for file in list_inputs(spec):
        kinds.setdefault(_kind_of(file.path), file.path)
    if len(kinds) > 1:
        (one, first), (other, second) = list(kinds.items())[:2]
        raise InputError(
            f"{first} is a {one}, {second} a {other}", "name files of one kind: a glob such as folder/*.parquet helps"
        )
    return next(iter(kinds))


def _kind_of(path: str) -> str:
    name = without_query(path).lower()
    for suffix in CODECS:
        name = name.removesuffix(suffix)
    for suffix, kind in SUFFIXES.items():
        if name.endswith(suffix):
            return kind
    filesystem, inner = filesystem_of(path)
    with reading(path), filesystem.open_input_file(inner) as file:
        if file.read(4) == b"PAR1":
            return "ParquetDataset"
    raise InputError(
        f"cannot tell what kind of table {path} is",
        "give files that end in .parquet or .csv, or to predict, say --dataset_type ParquetDataset or CsvDataset",
    )
