"""The benchmarks run, at sizes that say nothing about speed, and the competitors compute the same scores."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from benchmarks import bound, models
from benchmarks.measure import ROOT, markdown, median, spread

SCALE = 1000
ROWS = 600

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", params=["deepfm", "din"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folders(name: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An export and a table, both small."""
    folder = tmp_path_factory.mktemp(name)
    export = models.export(name, folder / "export", SCALE)
    return export, models.BENCHMARKS[name].write(folder / "table", ROWS, 0, SCALE)


def test_a_run_of_recinfer_reports_what_it_did(folders: tuple[Path, Path], tmp_path: Path) -> None:
    export, table = folders
    arguments = ["--export", str(export), "--input", str(table), "--output", str(tmp_path / "out"), "--threads", "1"]
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.recinfer_run", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["rows"] == ROWS
    assert report["rows_per_second"] > 0
    scores = pq.read_table(tmp_path / "out" / "part-00000.parquet")
    assert scores.column("row_id").to_pylist() == list(range(ROWS))


def test_the_plain_loop_gives_the_scores_of_recinfer(name: str, folders: tuple[Path, Path], tmp_path: Path) -> None:
    pytest.importorskip("pandas", reason="the plain loop is written with pandas")
    from benchmarks import plain_loop
    from benchmarks.padded_din import script
    from recinfer.main.scorer import load_scorer

    export, table = folders
    model = script(models.build(name, SCALE)[2]) if name == "din" else plain_loop.load(name, export)
    result = plain_loop.run(name, model, table, plain_loop.Setting(64, 0, 1), tmp_path)
    assert result["rows"] == ROWS - plain_loop.WARM_UP * 64
    plain = pq.read_table(tmp_path / "scores.parquet")
    ours = load_scorer(export).score(pq.read_table(table))
    assert plain.column("row_id").to_pylist() == list(range(ROWS))
    np.testing.assert_allclose(plain.column("probs").to_numpy(), ours.column("probs").to_numpy(), atol=1e-5)


def test_workers_share_the_rows(name: str, folders: tuple[Path, Path]) -> None:
    pytest.importorskip("pandas", reason="the plain loop is written with pandas")
    from benchmarks.plain_loop import Rows

    batches = list(Rows(name, folders[1], 100))
    assert torch.cat([batch["row_id"] for batch in batches]).tolist() == list(range(ROWS))


def test_the_products_of_the_bound_are_those_of_the_model(name: str) -> None:
    _, _, model = models.build(name, SCALE)
    weights = {tuple(module.weight.shape) for module in model.modules() if isinstance(module, torch.nn.Linear)}
    counted = {(product.outer, product.inner) for product in bound.products(name, 37.0)}
    # The attention's first layer is split: [256, 4 x 48] becomes [256, 48] once a row and [256, 96] a step.
    split = {(256, 192)} if name == "din" else set()
    assert weights - split == counted - {(256, 48), (256, 96)}


def test_the_lookups_of_the_bound_are_those_of_the_model(name: str) -> None:
    table = models.BENCHMARKS[name].sample(50, 1)
    found = bound.lookups(name, table)
    assert len(found) == {"deepfm": 26, "din": 8 + 3 + 3}[name]
    first = table.column("cat_0" if name == "deepfm" else "user").to_numpy()
    np.testing.assert_array_equal(found[0].chunk(10, 20).numpy(), first[10:20])
    if name == "din":
        brands = table.column("hist_brand").to_pylist()
        assert found[-1].chunk(3, 5).tolist() == brands[3] + brands[4]


def test_summaries() -> None:
    assert median([3.0, 1.0, 2.0]) == 2.0
    assert spread([1.0, 2.0, 3.0]) == pytest.approx(0.25)
    assert spread([1.0]) == 0.0
    assert markdown(["a", "b"], [[1, 2]]) == "| a | b |\n|---|---|\n| 1 | 2 |"


def test_the_sample_of_a_benchmark_fits_its_config(name: str) -> None:
    from recinfer.data.parser import Parser

    _, features, _ = models.build(name, SCALE)
    table: pa.Table = models.BENCHMARKS[name].sample(10, SCALE)
    assert Parser(features).check_schema(table.schema) == []
