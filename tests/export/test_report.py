"""An export's report says, type by type, what a measurement of the folder itself finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from recinfer import load_scorer
from recinfer.export import comparison
from recinfer.export.exporter import ExportJob, write_export
from recinfer.main import inspect
from recinfer.predict.model_scorer import ModelScorer
from tests.synthetic import FEATURES, config_of, make_table, model_of

ROWS = make_table(300, 17)
WIDE = 'multi_tower { towers { input: "deep" mlp { hidden_units: [128, 64] } } final { hidden_units: 64 } }'
LABELS = 'data_config { batch_size: 64 dataset_type: ParquetDataset label_fields: "liked" fg_mode: FG_NONE }'


@pytest.fixture(autouse=True)
def short_speeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured matters here, not how well."""
    monkeypatch.setattr(comparison, "ROUND_SECONDS", 0.0)


def export(folder: Path, rows: pa.Table = ROWS, **changes: Any) -> tuple[Any, ModelScorer]:
    """The report of an export, and the model that it was made of."""
    assert LABELS in FEATURES
    config = config_of(WIDE, groups=["deep"])
    model, features = model_of(config)
    job = {"quant_emb": "FP32", "quant_ec_emb": "FP32", "parity_bound": 1.0, **changes}
    report = write_export(
        ExportJob(config, model, features, "random", parity_rows=lambda: (rows, "made up"), **job), folder
    )
    return report, ModelScorer(model, features, "eager", config.data_config)


def probs(scorer: Any, rows: pa.Table = ROWS) -> np.ndarray:
    return np.array(scorer.score(rows)["probs"], np.float64)


@pytest.mark.parametrize("table_type", ["FP32", "FP16", "INT8", "INT4", "INT2"])
@pytest.mark.parametrize("dense", ["none", "int8"])
def test_error_auc_size_and_speed_of_every_type(tmp_path: Path, table_type: str, dense: str) -> None:
    folder = tmp_path / "export"
    report, eager = export(folder, quant_emb=table_type, quant_dense=dense)
    manifest = json.loads((folder / "recinfer.json").read_text(encoding="utf-8"))
    assert json.loads(json.dumps(report.to_json())).items() <= manifest.items()
    types = {"quant_emb": table_type, "quant_ec_emb": "FP32", "quant_dense": dense, "mixed_precision": "none"}
    assert manifest["types"] == types
    first, second = probs(eager), probs(load_scorer(folder))
    found = manifest["parity"]["differences"]["probs"]
    assert found["largest"] == pytest.approx(np.abs(first - second).max(), abs=1e-7)
    assert found["mean"] == pytest.approx(np.abs(first - second).mean(), abs=1e-7)
    assert (found["largest"] > 1e-5) == ((table_type, dense) != ("FP32", "none"))
    labels = np.array(ROWS["liked"])
    auc = manifest["auc"]["probs"]
    assert (auc["label"], auc["rows"]) == ("liked", 300)
    assert auc["first"] == pytest.approx(roc_auc_score(labels, first), abs=1e-9)
    assert auc["second"] == pytest.approx(roc_auc_score(labels, second), abs=1e-9)
    assert auc["change"] == auc["second"] - auc["first"]
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert manifest["bytes"] == sum(sizes.values()) - sizes["recinfer.json"]
    assert manifest["speeds"].keys() == {"eager", "export"}
    assert all(0 < each["slowest"] <= each["median"] <= each["fastest"] for each in manifest["speeds"].values())
    assert bool(manifest["quantized_layers"]) == (dense == "int8")
    contents = inspect(folder)
    for name in ("types", "parity", "auc", "speeds", "quantized_layers"):
        assert getattr(contents, name) == manifest[name], name
    assert contents.choice == {}


def test_coarser_tables_take_less_room_and_err_more(tmp_path: Path) -> None:
    reports = [export(tmp_path / name, quant_emb=name, fold_bytes=0)[0] for name in ("FP32", "INT8", "INT4", "INT2")]
    held = [sum(each.bytes for each in inspect(tmp_path / name).tables) for name in ("FP32", "INT8", "INT4", "INT2")]
    assert held == sorted(held, reverse=True)
    errors = [report.parity.differences["probs"].mean for report in reports]
    assert errors == sorted(errors) and errors[0] < 1e-6 < errors[1]


@pytest.mark.parametrize(
    "labels", [None, pa.array([1] * 300), pa.array(np.arange(300) % 5)], ids=["none", "one label", "stars"]
)
def test_labels_that_have_no_auc(tmp_path: Path, labels: pa.Array | None) -> None:
    rows = ROWS.drop_columns(["liked"])
    rows = rows if labels is None else rows.append_column("liked", labels)
    report, _ = export(tmp_path / "export", rows)
    assert report.auc == {}
    # Standard JSON: no NaN.
    text = (tmp_path / "export" / "recinfer.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=lambda word: pytest.fail(word))["auc"] == {}
