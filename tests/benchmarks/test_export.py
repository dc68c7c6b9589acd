"""The benchmark of exports measures every way once per place and round, and divides the right figures."""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from benchmarks import export, export_rounds, make_criteo, make_criteo_tasks, models
from benchmarks.export_rounds import EAGER, Variant, chunks_of, measure, variants
from benchmarks.measure import ROOT
from recinfer.data.parser import Parser
from recinfer.export import comparison
from recinfer.export.kinds import KINDS
from recinfer.export.parity import BOUNDS
from recinfer.predict.model_scorer import ModelScorer

SCALE = 1000

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def short_speeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The speeds that an export reports of itself say nothing here."""
    monkeypatch.setattr(comparison, "ROUND_SECONDS", 0.0)


def test_the_second_label_is_some_of_the_first_and_changes_nothing_else() -> None:
    table = make_criteo_tasks.group(3, 0, 20_000)
    assert table.drop_columns(["bought"]).equals(make_criteo.group(3, 0, 20_000))
    label, bought = (table.column(name).to_numpy() for name in ("label", "bought"))
    assert set(bought) == {0, 1} and (bought <= label).all()
    assert 0.17 < bought.sum() / label.sum() < 0.23
    assert make_criteo_tasks.group(3, 0, 500).equals(table.slice(0, 500))
    assert not make_criteo_tasks.group(3, 1, 500).column("bought").equals(table.slice(0, 500).column("bought"))


def test_the_model_of_two_tasks_reads_its_table(tmp_path: Path) -> None:
    config, features, model = models.build("mmoe", SCALE)
    assert Parser(features).check_schema(models.BENCHMARKS["mmoe"].sample(10, SCALE).schema) == []
    assert list(config.data_config.label_fields) == ["label", "bought"]
    assert [(task.suffix, task.label) for task in model.tasks] == [("_click", "label"), ("_buy", "bought")]
    written = make_criteo_tasks.write(tmp_path / "table", 50, 1, SCALE)
    assert pq.read_table(written / "part-0000.parquet").equals(make_criteo_tasks.group(1, 0, 50, SCALE))


def test_every_kind_is_measured_folded_and_not() -> None:
    found = {variant.name: variant for variant in variants()}
    assert len(found) == len(variants())
    assert {variant.kind for variant in found.values()} == {
        name for name, kind in KINDS.items() if "cpu" in kind.devices
    }
    # Nothing is folded where all of a model is compiled.
    assert {name for name, kind in KINDS.items() if not kind.whole and "cpu" in kind.devices} == {
        name.removesuffix(", folded") for name in found if name.endswith(", folded")
    }
    for kind in ("torchscript", "aot"):
        assert found[kind].job == {"fold_bytes": 0, "kind": kind, "parity_bound": BOUNDS["FP32"]}
        assert "fold_bytes" not in found[f"{kind}, folded"].job
    for kind in ("torchscript", "aot", "aot-unified"):
        tables = found[f"{kind}, INT8 tables"].job
        assert (tables["quant_emb"], tables["quant_ec_emb"], tables["parity_bound"]) == ("INT8", "INT8", BOUNDS["INT8"])
        assert found[f"{kind}, INT8 layers"].job["quant_dense"] == "int8"
    assert found["aot, folded, INT8 layers"].job["quant_dense"] == "int8"


def test_on_a_gpu_are_measured_the_kinds_for_it() -> None:
    gpu = torch.device("cuda", 0)
    found = {variant.name: variant for variant in variants(gpu)}
    assert {variant.kind for variant in found.values()} == {
        name for name, kind in KINDS.items() if "cuda" in kind.devices
    }
    assert all(variant.job["compile_options"].device == gpu for variant in found.values())
    half = found["aot, folded, BF16 layers"].job
    assert (half["mixed_precision"], half["parity_bound"]) == ("BF16", export_rounds.HALF_BOUND)
    assert not any("quant_dense" in variant.job for variant in found.values())


@pytest.mark.parametrize("name", ["deepfm", "din"])
def test_batches_are_cut_by_rows_and_by_steps(name: str) -> None:
    config, features, model = models.build(name, SCALE)
    scorer = ModelScorer(model, features, EAGER, config.data_config)
    chunks = chunks_of(scorer, name, 300, SCALE)
    table = models.BENCHMARKS[name].sample(sum(rows for _, rows in chunks) + 1, SCALE)
    assert len(chunks) > 10
    place = 0
    for tensors, rows in chunks[:5]:
        wanted = scorer.parser(table.slice(place, rows))
        assert tensors.keys() == wanted.keys()
        assert all(np.array_equal(tensors[key].numpy(), wanted[key].numpy()) for key in wanted)
        place += rows
        if name == "deepfm":
            assert rows == 300
        else:
            lengths = [len(steps) for steps in table.column("hist_item").to_pylist()]
            assert sum(lengths[place - rows : place]) <= 300 < sum(lengths[place - rows : place + 1])


def test_all_ways_take_their_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_rounds, "MOST_CHUNKS", 3)
    monkeypatch.setattr(export_rounds, "PARITY_ROWS", 100)
    int4 = {"quant_emb": "INT4"}
    ways = [
        Variant("scripted", "torchscript"),
        Variant("coarse", "torchscript", int4),
        Variant("too coarse", "torchscript", {**int4, "parity_bound": 1e-12}),
    ]
    found = measure("mmoe", tmp_path, scale=SCALE, rounds=2, seconds=0.001, batches=[16, 32], threads=[1, 2], ways=ways)
    places = [(run["batch"], run["variant"], run["threads"], run["round"]) for run in found["runs"]]
    measured = [EAGER, "scripted", "coarse"]
    assert sorted(places) == sorted((b, v, t, r) for b in (16, 32) for v in measured for t in (1, 2) for r in (0, 1))
    # The second round goes backwards.
    assert [place[1] for place in places[:12:2]] == [*measured, *reversed(measured)]
    assert all(run["rows_per_second"] > 0 for run in found["runs"])
    assert "above the bound of 1e-12" in found["exports"]["too coarse"]["failed"]
    scripted, coarse = found["exports"]["scripted"], found["exports"]["coarse"]
    assert scripted["error_max"] < 1e-5 < coarse["error_max"] and coarse["error_mean"] <= coarse["error_max"]
    folder = tmp_path / f"exports-mmoe-{SCALE}" / "scripted"
    files = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert scripted["bytes"] == sum(files.values()) - files["recinfer.json"]
    assert json.loads(json.dumps(found)) == found
    text = export.table([found])
    assert "none: the export's probs" in text and len({line.count("|") for line in text.splitlines()}) == 1


def test_exports_older_than_the_source_are_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_rounds, "PARITY_ROWS", 50)
    monkeypatch.setattr(export_rounds, "ROOT", tmp_path / "root")
    source = tmp_path / "root" / "recinfer" / "nn" / "new.py"
    source.parent.mkdir(parents=True)
    source.touch()
    variant = Variant("scripted", "torchscript")
    manifest = export_rounds.write("deepfm", variant, tmp_path, SCALE) / "recinfer.json"
    stamp = manifest.stat().st_mtime_ns
    export_rounds.write("deepfm", variant, tmp_path, SCALE)
    assert manifest.stat().st_mtime_ns == stamp
    os.utime(source, (time.time() + 60, time.time() + 60))
    export_rounds.write("deepfm", variant, tmp_path, SCALE)
    assert manifest.stat().st_mtime_ns > stamp


def result(**figures: dict[tuple[int, int], list[float]]) -> dict[str, Any]:
    """A result of these rows a second, by variant, batch and threads."""
    runs = [
        {"batch": batch, "threads": threads, "variant": name, "round": number, "rows_per_second": rate}
        for name, places in figures.items()
        for (batch, threads), given in places.items()
        for number, rate in enumerate(given)
    ]
    about = {name: {"error_max": 2e-5, "error_mean": 1e-6, "bytes": 3 << 20} for name in figures if name != EAGER}
    return {"model": "deepfm", "unit": "rows", "exports": about, "runs": runs}


def test_ratios_are_taken_inside_a_round() -> None:
    found = result(
        eager={(1024, 1): [100.0, 50.0, 10.0], (1024, 2): [150.0, 80.0, 20.0]},
        aot={(1024, 1): [200.0, 150.0, 40.0], (1024, 2): [380.0, 300.0, 60.0]},
    )
    assert export.over_eager(found, "aot", 1024, 1) == [2.0, 3.0, 4.0]
    assert export.scaling(found, "aot") == pytest.approx([1.9, 2.0, 1.5])
    assert export.table([found]).splitlines()[2:] == [
        "| deepfm | eager | 50 rows/s | 80 rows/s | 1.60 ± 8% |  |  |  |",
        "| deepfm | aot | 3.00 ± 17% | 3.00 ± 10% | 1.90 ± 7% | 2.0e-05 | 1.0e-06 | 3 |",
    ]
    assert export.scaling_lines([found]) == (
        "deepfm, two threads over one: eager 1.60, aot 1.90; compiled at least 1.90, wanted 1.8"
    )


def test_threads_are_compared_at_the_smallest_batch_where_the_usual_one_was_not_measured() -> None:
    found = result(eager={(64, 1): [1.0], (64, 2): [2.0], (256, 1): [1.0], (256, 2): [1.0]})
    assert export.scaling(found, EAGER) == [2.0]
    chunks = result(eager={(1024, 1): [1.0], (1024, 2): [1.5], (4096, 1): [1.0], (4096, 2): [1.9]})
    assert export.scaling(chunks, EAGER) == [1.5] and export.scaling({**chunks, "unit": "steps"}, EAGER) == [1.9]
    assert export.scaling(result(eager={(64, 1): [1.0]}), EAGER) == []
    assert export.scaling_lines([result(eager={(64, 1): [1.0]})]) == ""


def test_settings_are_the_arguments_of_the_process_that_measures() -> None:
    given = argparse.Namespace(quick=True, scale=None, rounds=7, seconds=None, batches=[8, 9], device="cuda:1")
    assert export._settings(given) == export.Settings(100, 7, 0.1, (8, 9), (1, 2), "cuda:1")
    assert (ROOT / "benchmarks" / "export_rounds.py").is_file()
