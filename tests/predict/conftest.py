"""An input table in several files and row groups, and a scorer of it with a fixed chunk."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recinfer import load_scorer
from recinfer.data.batch import Chunking
from recinfer.predict import job
from recinfer.predict.scorer import Scorer
from tests.synthetic import make_table

ROWS, UNIT_ROWS = 1300, 200
CHUNKING = Chunking(64, 150)


@pytest.fixture(scope="session")
def table() -> pa.Table:
    return make_table(ROWS, 11)


@pytest.fixture(scope="session")
def source(table: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three files, of 700, 1 and 599 rows, in row groups of 100: eight units of up to 200 rows."""
    folder = tmp_path_factory.mktemp("source")
    for name, first, last in (("a", 0, 700), ("b", 700, 701), ("c", 701, ROWS)):
        pq.write_table(table.slice(first, last - first), folder / f"{name}.parquet", row_group_size=100)
    return folder


@pytest.fixture(scope="session")
def loaded(exported: Callable[[str], Path]) -> Scorer:
    return load_scorer(exported("multi_tower_din"))


@pytest.fixture
def scorer(loaded: Scorer) -> Scorer:
    """A copy that a test may change."""
    return copy.copy(loaded)


@pytest.fixture(autouse=True)
def fixed_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The choice is a measurement; bytes can only be compared between runs of one chunk."""
    monkeypatch.setattr(job, "choose_chunking", lambda scorer, sample: CHUNKING)


def read_parts(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for path in sorted(folder.glob("part-*.parquet"))])


def part_hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("part-*"))}


@pytest.fixture
def run(scorer: Scorer, source: Path, tmp_path: Path) -> Callable[..., tuple[Any, Path]]:
    """``run(name, **options)``: predicts the source, or another input, and returns summary and output folder."""
    from recinfer.main import predict

    def predict_to(name: str = "out", *, input_path: Path = source, model: Any = None, **options: Any) -> Any:
        settings = {"unit_rows": UNIT_ROWS, "predict_threads": 2, "batch_size": 64, **options}
        return predict(model or scorer, str(input_path), tmp_path / name, **settings), tmp_path / name

    return predict_to
