"""Comparing scores, against loops that say the same slowly."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from recinfer import compare, load_scorer
from recinfer.config.save import save_pipeline_config
from recinfer.errors import InputError, UsageError
from recinfer.export import comparison
from recinfer.export.comparison import auc, auc_pair, difference
from recinfer.main import comparing
from tests.synthetic import config_of, make_table, model_of, write_export_of

Exported = Callable[[str], Path]
NAN, INF = math.nan, math.inf


@pytest.fixture(autouse=True)
def short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "ROUND_SECONDS", 1e-4)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    pq.write_table(make_table(300, 1), tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


def test_differences() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=1001), rng.normal(size=1001)
    gaps = sorted(abs(one - other) for one, other in zip(first.tolist(), second.tolist(), strict=True))
    found = difference(first, second)
    assert found.largest == gaps[-1] and found.mean == pytest.approx(sum(gaps) / len(gaps)) and found.undefined == 0
    assert found.quantiles == {"0.5": gaps[500], "0.9": gaps[900], "0.99": gaps[990], "0.999": gaps[999]}


def test_numbers_that_are_none() -> None:
    found = difference(np.array([NAN, NAN, INF, 1.0, 2.0]), np.array([NAN, 0.0, INF, 1.5, 2.0]))
    assert (found.undefined, found.largest, found.mean) == (1, 0.5, 0.5 / 3)
    assert difference(np.array([INF]), np.array([-INF])).largest == INF
    assert difference(np.array([NAN]), np.array([NAN])).largest == 0.0
    other = difference(np.zeros(2), np.zeros(3))
    assert math.isnan(other.largest) and other.undefined == 3


@pytest.mark.parametrize("decimals", [1, 12])
def test_auc_is_sklearn_s_with_and_without_ties(decimals: int) -> None:
    rng = np.random.default_rng(1)
    labels = rng.random(500) < 0.3
    scores = np.round(rng.normal(size=500) + labels, decimals)
    assert auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_auc_needs_both_labels() -> None:
    assert math.isnan(auc(np.arange(3.0), np.ones(3, bool))) and math.isnan(auc(np.arange(3.0), np.zeros(3, bool)))


def test_auc_of_both_sides_over_the_rows_that_have_a_label() -> None:
    labels = np.array([1, 0, NAN, 1, 0.0])
    better, worse = np.array([0.9, 0.1, 0.5, 0.8, 0.2]), np.array([0.9, 0.85, 0.5, 0.8, 0.2])
    found = auc_pair("liked", labels, better, worse)
    assert found is not None and (found.label, found.rows, found.first, found.second) == ("liked", 4, 1.0, 0.75)
    assert found.change == -0.25
    assert auc_pair("stars", np.array([1.0, 5.0]), better[:2], worse[:2]) is None
    assert auc_pair("liked", labels, better, np.full(5, NAN)) is None


def test_two_table_types(exported: Exported, rows: Path, tmp_path: Path) -> None:
    coarse = write_export_of("multi_tower", tmp_path / "int4", quant_emb="INT4", parity_bound=1.0)
    found = compare(exported("multi_tower"), coarse, str(rows), rounds=2)
    table = pq.read_table(rows)
    scores = [
        np.array(load_scorer(path).score(table)["probs"], np.float64) for path in (exported("multi_tower"), coarse)
    ]
    gap = np.abs(scores[0] - scores[1])
    assert gap.max() > 1e-4
    assert found.differences["probs"].largest == pytest.approx(gap.max(), abs=1e-7)
    assert found.differences["probs"].mean == pytest.approx(gap.mean(), abs=1e-7)
    labels = np.array(table["liked"])
    pair = found.auc["probs"]
    assert (pair.label, pair.rows) == ("liked", 300)
    assert pair.first == pytest.approx(roc_auc_score(labels, scores[0]), abs=1e-6)
    assert pair.change == pytest.approx(roc_auc_score(labels, scores[1]) - pair.first, abs=1e-6)
    for side, path in ((found.first, exported("multi_tower")), (found.second, coarse)):
        assert (side.path, side.kind) == (str(path), "torchscript")
        assert side.bytes == sum(each.stat().st_size for each in path.iterdir())
        assert 0 < side.speed.slowest <= side.speed.median <= side.speed.fastest
    assert found.speed_ratio == found.second.speed.median / found.first.speed.median
    assert found.rows == 300 and found.only_first == found.only_second == []
    assert json.loads(json.dumps(found.to_json()))["differences"]["probs"]["undefined"] == 0


def test_a_model_and_itself(exported: Exported, rows: Path) -> None:
    found = compare(exported("deepfm"), exported("deepfm"), str(rows), rows=120, rounds=1)
    assert found.rows == 120
    assert all(each.largest == each.mean == 0.0 for each in found.differences.values())
    assert found.auc["probs"].rows == 120 and found.auc["probs"].change == 0.0


def test_without_labels_there_is_no_auc(exported: Exported, tmp_path: Path) -> None:
    pq.write_table(make_table(40, 1).drop_columns(["liked"]), tmp_path / "rows.parquet")
    assert compare(exported("deepfm"), exported("deepfm"), str(tmp_path / "rows.parquet"), rounds=1).auc == {}


def test_an_export_and_its_config_with_weights_on_other_columns(exported: Exported, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="user_id"):
        pq.write_table(make_table(40, 1).drop_columns(["user_id"]), tmp_path / "rows.parquet")
        compare(exported("deepfm"), exported("deepfm"), str(tmp_path / "rows.parquet"))


def test_no_rows(exported: Exported, tmp_path: Path) -> None:
    pq.write_table(make_table(0, 1), tmp_path / "rows.parquet")
    with pytest.raises(InputError, match="has no rows to compare scores on"):
        compare(exported("deepfm"), exported("deepfm"), str(tmp_path / "rows.parquet"))


def test_models_that_predict_other_things(exported: Exported, rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = load_scorer(exported("deepfm"))
    other = copy.copy(one)
    other.outputs = pa.schema([("codes", pa.int64())])
    sides = iter([one, other])
    monkeypatch.setattr(comparing, "load_scorer", lambda path, **settings: next(sides))
    with pytest.raises(UsageError, match="no prediction in common: logits, probs against codes"):
        compare(exported("deepfm"), exported("deepfm"), str(rows))


TASKS = """feature_groups { group_name: "all" group_type: DEEP feature_names: "user_id" feature_names: "age" }
simple_multi_task {
  task_towers { tower_name: "a" label_name: "liked" mlp { hidden_units: 4 } losses { binary_cross_entropy {} } }
  task_towers {
    tower_name: "b" label_name: "bought" num_class: 2 mlp { hidden_units: 4 } losses { softmax_cross_entropy {} }
  }
}"""


def test_each_task_has_its_label(tmp_path: Path) -> None:
    config = config_of(TASKS, groups=[], loss="")
    sides = []
    for seed in (0, 1):
        from recinfer.export.exporter import ExportJob, write_export

        built, features = model_of(config, seed)
        sides.append(tmp_path / f"export{seed}")
        given = lambda: (make_table(50, 2), "made up")  # noqa: E731
        write_export(ExportJob(config, built, features, "", "FP32", "FP32", given, 1e-4), sides[-1])
    table = make_table(200, 3)
    table = table.append_column("bought", pa.array(np.random.default_rng(0).integers(0, 2, 200)))
    pq.write_table(table, tmp_path / "rows.parquet")
    found = compare(sides[0], sides[1], str(tmp_path / "rows.parquet"), rounds=1)
    assert {name: pair.label for name, pair in found.auc.items()} == {"probs_a": "liked", "probs1_b": "bought"}
    for name, pair in found.auc.items():
        scores = np.array(load_scorer(sides[1]).score(table)[name], np.float64)
        assert pair.second == pytest.approx(roc_auc_score(np.array(table[pair.label]), scores), abs=1e-6)


def test_a_checkpoint_against_its_export(exported: Exported, rows: Path, tmp_path: Path) -> None:
    from recinfer.train.checkpoint import named_state
    from recinfer.train.checkpoint_storage import write_tensors

    config = config_of("multi_tower")
    save_pipeline_config(config, tmp_path / "pipeline.config")
    write_tensors(tmp_path / "model.ckpt-1" / "model", named_state(model_of(config)[0]))
    found = compare(tmp_path / "model.ckpt-1", exported("multi_tower"), str(rows), rounds=1)
    assert found.first.kind == "checkpoint" and found.differences["probs"].largest < 1e-5
