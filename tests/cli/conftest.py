"""What the tests of the commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from recinfer.cli.app import app
from tests.synthetic import make_table

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables that commands read or set are as in a fresh shell, and are put back afterwards."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    for name in ("RECINFER_PREDICT_THREADS", "QUANT_EMB", "QUANT_EC_EMB", "QUANT_DENSE", "ENABLE_AOT", "INPUT_TILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run() -> Run:
    """``run("predict", "--flag", path)``: the command's result; a bug's traceback fails the test."""

    def invoke(*arguments: str | Path) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A Parquet file of 300 rows that the synthetic models read."""
    path = tmp_path / "rows.parquet"
    pq.write_table(make_table(300, 1), path)
    return path
