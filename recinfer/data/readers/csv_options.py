"""How a CSV text is to be read, from a config's ``data_config``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from recinfer.errors import ConfigError

SCALARS: dict[str, pa.DataType] = {
    "INT32": pa.int32(),
    "INT": pa.int32(),
    "SMALLINT": pa.int32(),
    "TINYINT": pa.int32(),
    "INT64": pa.int64(),
    "BIGINT": pa.int64(),
    "LONG": pa.int64(),
    "STRING": pa.string(),
    "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
}
NESTED = re.compile(r"(ARRAY|MAP)(<.+>|(_[A-Z0-9]+)+)")


@dataclass(frozen=True)
class CsvOptions:
    """How to read CSV.

    Attributes:
        delimiter: one ASCII character; None for a tab in ``.tsv`` files and a comma in others.
        with_header: the first row of each file names its columns.
        columns: names and types; a type of None is inferred. Without a header they are the file's columns, in its
            order; with one they fix the types of the columns that they name. None to take all from the header.
    """

    delimiter: str | None = None
    with_header: bool = False
    columns: list[tuple[str, pa.DataType | None]] | None = None


def from_data_config(data_config: Any) -> CsvOptions:
    """Builds the options from ``input_fields`` or ``input_fields_str``, ``delimiter`` and ``with_header``.

    Args:
        data_config: a ``recinfer.protos.data_pb2.DataConfig``.

    Raises:
        ConfigError: a type is unknown, a field comes twice, or the delimiter is not one ASCII character.
    """
    delimiter = check_delimiter(data_config.delimiter) if data_config.HasField("delimiter") else None
    if data_config.input_fields_str:
        columns = parse_fields(data_config.input_fields_str)
    else:
        columns = [(field.input_name, _field_type(field)) for field in data_config.input_fields]
    names = [name for name, _ in columns]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"data_config.input_fields names {name!r} twice", "remove one of them")
    # Without names from the config, only a header can name the columns; so it is read unless the config denies it.
    with_header = data_config.with_header or (not columns and not data_config.HasField("with_header"))
    return CsvOptions(delimiter, with_header, columns or None)


def parse_fields(text: str) -> list[tuple[str, pa.DataType | None]]:
    """Parses ``name:TYPE;name:TYPE``; TYPE is a FieldType name or an SQL name such as BIGINT or ARRAY<STRING>."""
    columns: list[tuple[str, pa.DataType | None]] = []
    for item in filter(None, (part.strip() for part in text.split(";"))):
        name, separator, kind = item.partition(":")
        if not separator or not name.strip():
            raise ConfigError(
                f"data_config.input_fields_str: {item!r} is not name:TYPE", "write it as name:TYPE;name:TYPE"
            )
        columns.append((name.strip(), csv_type(kind, name.strip())))
    return columns


def csv_type(kind: str, name: str) -> pa.DataType:
    """The Arrow type in which a CSV column is read; arrays and maps stay text, which the parser splits.

    Raises:
        ConfigError: the type is unknown.
    """
    normal = re.sub(r"\s+", "", kind).upper()
    if normal in SCALARS:
        return SCALARS[normal]
    if NESTED.fullmatch(normal):
        return pa.string()
    raise ConfigError(
        f"input field {name!r} has the unknown type {kind.strip()!r}",
        "types are INT32, INT64, STRING, FLOAT, DOUBLE, and ARRAY<...> or MAP<...,...> of them",
    )


def check_delimiter(delimiter: str) -> str:
    """Returns the delimiter; the two characters ``\\t`` stand for a tab."""
    plain = "\t" if delimiter == "\\t" else delimiter
    if len(plain) != 1 or not plain.isascii() or plain in '"\r\n':
        raise ConfigError(
            f"data_config.delimiter is {delimiter!r}",
            "give one ASCII character that is no quote or line end, such as ',' or '\\t'",
        )
    return plain


def _field_type(field: Any) -> pa.DataType | None:
    if not field.HasField("input_type"):
        return None
    names = field.DESCRIPTOR.fields_by_name["input_type"].enum_type.values_by_number
    return csv_type(names[field.input_type].name, field.input_name)
