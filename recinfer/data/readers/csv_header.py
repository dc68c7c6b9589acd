"""Column names of CSV files."""

from __future__ import annotations

import csv
import io

from recinfer.errors import InputError


def header_names(text: bytes, delimiter: str, path: str) -> list[str]:
    """Names in a header row.

    Raises:
        InputError: the row is not UTF-8, or a name is empty or comes twice.
    """
    try:
        plain = text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: the header is not UTF-8 text", "save the file as UTF-8") from error
    names = next(csv.reader(io.StringIO(plain, newline=""), delimiter=delimiter), [])
    for position, name in enumerate(names, 1):
        if not name:
            raise InputError(f"{path}: column {position} has no name in the header", "name it")
        if names.count(name) > 1:
            raise InputError(f"{path}: the header names column {name!r} twice", "rename one of them")
    return names


def check_same_names(first_path: str, first: list[str], path: str, names: list[str]) -> None:
    """Raises InputError where two files differ in the names of their columns; their order is free."""
    for name in first:
        if name not in names:
            raise InputError(
                f"{path} has no column {name!r}, which {first_path} has", "all input files must share their columns"
            )
    for name in names:
        if name not in first:
            raise InputError(
                f"{path} has a column {name!r}, which {first_path} has not", "all input files must share their columns"
            )
