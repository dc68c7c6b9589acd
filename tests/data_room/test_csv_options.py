"""What a config's data_config means for CSV."""

from __future__ import annotations

from pathlib import Path

import pytest

from recinfer.data.readers import open_reader
from recinfer.data.readers.csv_options import from_data_config
from recinfer.errors import ConfigError
from recinfer.protos.data_pb2 import DataConfig


def test_a_header_is_read_where_nothing_else_names_the_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,name\n1,x\n2,y\n")
    reader = open_reader(str(tmp_path), csv=from_data_config(DataConfig()))
    assert reader.schema.names == ["id", "name"]
    assert sum(unit.rows for unit in reader.units()) == 2


def test_a_header_that_the_config_denies_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,x\n")
    with pytest.raises(ConfigError, match="column"):
        open_reader(str(tmp_path), csv=from_data_config(DataConfig(with_header=False)))


def test_named_columns_need_no_header(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,x\n2,y\n")
    reader = open_reader(str(tmp_path), csv=from_data_config(DataConfig(input_fields_str="id:INT64;name:STRING")))
    assert reader.schema.names == ["id", "name"]
    assert sum(unit.rows for unit in reader.units()) == 2
