"""The table of how well models do, on few made-up ratings."""

from __future__ import annotations

import json
from pathlib import Path

import models_table
import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

import recinfer
from tests.configs import movielens_rows

QUICK = ["data_config.batch_size=100", "train_config.dense_optimizer.adam_optimizer.lr=0.01"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    table = movielens_rows.make_table(1500, 0)
    for name, rows in (("train", table.slice(0, 1000)), ("test", table.slice(1000))):
        (folder / name).mkdir()
        pq.write_table(rows, folder / name / "part-00000.parquet")
    return folder


def test_one_model_from_ratings_to_page(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "models.md"
    page.write_text("before\n<!-- quality: begin -->\n<!-- quality: end -->\nafter\n", encoding="utf-8")
    monkeypatch.setattr(models_table, "PAGE", page)
    output = tmp_path / "out.json"
    changes = [part for change in QUICK for part in ("-o", change)]
    arguments = ["--data", str(data), "--models", "dlrm", "--seeds", "1", "--output", str(output), "--write"]
    assert models_table.main([*arguments, *changes]) == 0
    (result,) = json.loads(output.read_text(encoding="utf-8"))
    # As trained and scored without the script.
    config = models_table.CONFIGS / "dlrm.config"
    recinfer.train_and_evaluate(
        config,
        train_input_path=str(data / "train"),
        overrides=[*QUICK, "eval_input_path=", f"model_dir={tmp_path / 'model'}"],
    )
    table = pq.read_table(data / "test")
    probabilities = np.array(recinfer.load_scorer(tmp_path / "model").score(table)["probs"], np.float64)
    labels = np.array(table["label"])
    assert result["auc"] == [pytest.approx(roc_auc_score(labels, probabilities), abs=1e-3)]
    by_hand = -np.mean(np.where(labels == 1, np.log(probabilities), np.log1p(-probabilities)))
    assert result["log_loss"] == [pytest.approx(by_hand, abs=1e-3)]
    # dim 8 for every id of the config; dense MLP 4-32-8; 9 vectors make 36 products, then 108-64-32-1.
    assert result["table_parameters"] == 8 * (7 + 2 + 21 + 3 * 1682 + 15 + 19)
    assert result["layer_parameters"] == (4 * 32 + 32 + 32 * 8 + 8) + (108 * 64 + 64 + 64 * 32 + 32 + 32 + 1)
    assert result["train_seconds"][0] > 0 and result["rows_per_second"][0] > 0
    table_lines = capsys.readouterr().out.strip().splitlines()
    assert len(table_lines) == 3 and table_lines[2].startswith(f"| `dlrm` | {result['auc'][0]:.4f} |")
    text = page.read_text(encoding="utf-8").splitlines()
    assert (text[0], text[2:5], text[-1]) == ("before", table_lines, "after")


def test_rows_are_sorted_and_say_how_far_seeds_differ() -> None:
    low = models_table.Result("low", [0.70, 0.72, 0.71], [0.6] * 3, 1000, 20, [4.0] * 3, [12345.0] * 3)
    high = models_table.Result("high", [0.75], [0.55], 1, 2, [3.0], [99.0])
    _, _, first, second = models_table.markdown([low, high]).splitlines()
    assert first == "| `high` | 0.7500 | 0.5500 | 1 | 2 | 3.0 | 99 |"
    assert second == "| `low` | 0.7100 ± 0.0100 | 0.6000 ± 0.0000 | 1,000 | 20 | 4.0 | 12,000 |"


def test_unknown_models_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        models_table.main(["--models", "deepfn"])
    assert "no config for deepfn" in capsys.readouterr().err
