"""The summary at the end of the quickstart, and its pictures."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import quickstart_summary
from score_histogram import svg_histogram, text_histogram
from sklearn.metrics import roc_auc_score

SVG = "{http://www.w3.org/2000/svg}"


def write_run(folder: Path, baseline_auc: float) -> float:
    """A finished run of 40 rows in two parts; returns the AUC of its scores."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 40)
    scores = np.clip(0.3 * labels + rng.uniform(0, 0.7, 40), 0, 1).astype(np.float32)
    predictions = folder / "predictions"
    predictions.mkdir()
    table = pa.table({"row_id": np.arange(40), "label": labels, "probs": scores})
    pq.write_table(table.slice(0, 25), predictions / "part-00000.parquet")
    pq.write_table(table.slice(25), predictions / "part-00001.parquet")
    (predictions / "_SUCCESS").write_text("{}")
    (folder / "baseline.json").write_text(json.dumps({"test_auc": baseline_auc}))
    (folder / "eval.json").write_text(json.dumps({"metrics": {"auc": 0.7654}}))
    (folder / "predict.json").write_text(json.dumps({"rows_out": 40, "rows_per_second": 12345.0}))
    return float(roc_auc_score(labels, scores))


def test_says_both_aucs_speed_and_first_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    auc = write_run(tmp_path, baseline_auc=0.5)
    assert quickstart_summary.main([str(tmp_path)]) == 0
    out = capsys.readouterr().out
    for piece in (f"{auc:.4f}", "0.7654", "0.5000", "beats", "12,345 rows/s", "First 5 of 40"):
        assert piece in out
    ElementTree.parse(tmp_path / "scores.svg")


def test_a_model_worse_than_the_baseline_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, baseline_auc=0.999)
    assert quickstart_summary.main([str(tmp_path)]) == 1
    assert "does not beat" in capsys.readouterr().out


def test_refuses_an_output_that_is_not_complete(tmp_path: Path) -> None:
    write_run(tmp_path, baseline_auc=0.5)
    (tmp_path / "predictions" / "_SUCCESS").unlink()
    with pytest.raises(SystemExit, match="not complete"):
        quickstart_summary.main([str(tmp_path)])


def test_find_number_looks_everywhere() -> None:
    assert quickstart_summary.find_number({"a": [{"b": "x"}, {"auc": 0.5}]}, "auc") == 0.5
    assert quickstart_summary.find_number({"a": {"auc": {"auc": 1}}}, "auc") == 1.0
    assert quickstart_summary.find_number([], "auc") is None


def test_text_histogram_counts_every_score() -> None:
    lines = text_histogram(np.array([0.0, 0.04, 0.5, 1.0]), bins=4, width=10)
    assert [line.split()[-1] for line in lines] == ["2", "0", "1", "1"]
    assert lines[0].count("█") == 10 and lines[2].count("█") == 5


def test_svg_bars_are_as_high_as_their_counts() -> None:
    scores, labels = np.array([0.1, 0.1, 0.9]), np.array([1, 1, 0])
    root = ElementTree.fromstring(svg_histogram(scores, labels, "t", bins=2))
    heights = {
        kind: [float(bar.get("height", 0)) for bar in root.iter(f"{SVG}rect") if bar.get("class") == kind]
        for kind in ("liked", "other")
    }
    # The last one of each class is its swatch in the legend.
    assert heights["liked"][1] == 0 and heights["other"][0] == 0
    assert heights["liked"][0] == pytest.approx(2 * heights["other"][1])


def test_histograms_of_nothing() -> None:
    assert all(line.endswith(" 0") for line in text_histogram(np.array([])))
    ElementTree.fromstring(svg_histogram(np.array([]), np.array([]), "t"))
