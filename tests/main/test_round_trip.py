"""From a table to predictions through the public functions: train, evaluate, export, predict, verify."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

import recinfer
from recinfer.config.save import save_pipeline_config
from recinfer.errors import ConfigError, InputError, ModelError, UsageError
from recinfer.export.parity import BOUNDS
from recinfer.main import fingerprint
from tests.synthetic import config_of, make_table

TRAINING = """
train_config {
  sparse_optimizer { adagrad_optimizer { lr: 0.05 } constant_learning_rate {} }
  dense_optimizer { adam_optimizer { lr: 0.01 } constant_learning_rate {} }
  num_epochs: 2 use_tensorboard: false save_checkpoints_steps: 3
}
eval_config {}
model_config { metrics { auc { thresholds: 1000 } } }
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a config, rows, a trained model folder and an export."""
    from google.protobuf import text_format

    folder = tmp_path_factory.mktemp("home")
    pq.write_table(make_table(300, 31), folder / "train.parquet")
    pq.write_table(make_table(200, 32), folder / "eval.parquet")
    config = config_of("multi_tower_din")
    text_format.Merge(TRAINING, config)
    config.train_input_path = str(folder / "train.parquet")
    config.eval_input_path = str(folder / "eval.parquet")
    config.model_dir = str(folder / "model")
    for entry in config.feature_configs:
        kind = entry.WhichOneof("feature")
        members = entry.sequence_feature.features if kind == "sequence_feature" else [entry]
        for member in members:
            name = member.WhichOneof("feature")
            getattr(member, name).expression = f"user:{getattr(member, name).feature_name}"
    save_pipeline_config(config, folder / "pipeline.config")
    recinfer.train_and_evaluate(folder / "pipeline.config")
    recinfer.export(folder / "pipeline.config", folder / "export")
    return folder


def probs(table: pa.Table) -> np.ndarray:
    return np.array(table["probs"], np.float64)


def test_a_checkpoint_and_its_export_score_alike(home: Path) -> None:
    table = pq.read_table(home / "eval.parquet")
    exported = probs(recinfer.load_scorer(home / "export").score(table))
    latest = max((home / "model").glob("model.ckpt-*"), key=lambda path: int(path.name.split("-")[1]))
    for path in (home / "model", latest):
        np.testing.assert_allclose(probs(recinfer.load_scorer(path).score(table)), exported, atol=1e-5)
    given = recinfer.load_scorer(home / "pipeline.config", latest)
    np.testing.assert_allclose(probs(given.score(table)), exported, atol=1e-5)
    assert exported.std() > 1e-3


def test_predict_writes_what_the_scorer_gives(home: Path, tmp_path: Path) -> None:
    table = pq.read_table(home / "eval.parquet")
    expected = probs(recinfer.load_scorer(home / "export").score(table))
    for name, model in (("export", home / "export"), ("model", home / "model")):
        summary = recinfer.predict(model, str(home / "eval.parquet"), tmp_path / name, reserved_columns=["row_id"])
        assert summary.rows_out == 200 and recinfer.verify(tmp_path / name).complete
        (part,) = (tmp_path / name).glob("part-*.parquet")
        out = pq.read_table(part)
        assert out["row_id"].to_pylist() == list(range(200))
        np.testing.assert_allclose(probs(out), expected, atol=1e-5)


def test_evaluate_gives_the_auc_of_the_scores(home: Path, tmp_path: Path) -> None:
    table = pq.read_table(home / "eval.parquet")
    expected = roc_auc_score(np.array(table["liked"]), probs(recinfer.load_scorer(home / "export").score(table)))
    result = tmp_path / "result.json"
    metrics = recinfer.evaluate(home / "pipeline.config", eval_result_path=result)
    assert abs(metrics["auc"] - expected) < 0.01
    assert "auc" in result.read_text(encoding="utf-8")


def test_export_compares_on_the_rows_it_is_given_with_the_table_types_of_call_and_environment(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = json.loads((home / "export" / "recinfer.json").read_text(encoding="utf-8"))
    assert manifest["parity"]["rows"] == 200 and manifest["parity"]["source"] == str(home / "eval.parquet")
    monkeypatch.setenv("QUANT_EMB", "INT8")
    monkeypatch.setenv("QUANT_EC_EMB", "FP16")
    train = str(home / "train.parquet")
    report = recinfer.export(
        home / "pipeline.config", tmp_path / "a", quant_emb="FP32", parity_input_path=train, parity_rows=70
    )
    assert (report.parity.rows, report.parity.source, report.parity.bound) == (70, train, BOUNDS["FP16"])
    assert 0 < report.parity.worst[1] <= report.parity.bound
    switches = json.loads((tmp_path / "a" / "model_acc.json").read_text(encoding="utf-8"))
    assert switches == {"SPARSE_INT64": "1", "QUANT_EC_EMB": "FP16"}


def test_input_tile_of_environment_and_call(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All features of the config are the user's."""
    monkeypatch.setenv("INPUT_TILE", "3")
    monkeypatch.setenv("INPUT_TILE_3_ONLINE", "1")
    recinfer.export(home / "pipeline.config", tmp_path / "tiled")
    switches = json.loads((tmp_path / "tiled" / "model_acc.json").read_text(encoding="utf-8"))
    assert (switches["INPUT_TILE"], switches["INPUT_TILE_3_ONLINE"]) == ("3", "1")
    with pytest.raises(UsageError, match="goes with INPUT_TILE=3, not 2"):
        recinfer.export(home / "pipeline.config", tmp_path / "other", input_tile=2, input_tile_3_online=True)
    # The flag wins over both variables.
    recinfer.export(home / "pipeline.config", tmp_path / "other", input_tile=2)
    assert '"INPUT_TILE": "2"' in (tmp_path / "other" / "model_acc.json").read_text(encoding="utf-8")
    source = str(home / "eval.parquet")
    outputs = [
        recinfer.predict(home / "export", source, tmp_path / "a"),
        recinfer.predict(tmp_path / "tiled", source, tmp_path / "b"),
    ]
    assert [each.rows_out for each in outputs] == [200, 200]
    left, right = (pq.read_table(next((tmp_path / name).glob("part-*.parquet"))) for name in ("a", "b"))
    np.testing.assert_allclose(probs(left), probs(right), atol=1e-5)


def test_export_of_a_chosen_checkpoint(home: Path, tmp_path: Path) -> None:
    found = sorted((home / "model").glob("model.ckpt-*"), key=lambda path: int(path.name.split("-")[1]))
    assert len(found) > 1
    recinfer.export(home / "pipeline.config", tmp_path / "first", checkpoint_path=found[0])
    table = pq.read_table(home / "eval.parquet")
    first = probs(recinfer.load_scorer(tmp_path / "first").score(table))
    np.testing.assert_allclose(first, probs(recinfer.load_scorer(found[0]).score(table)), atol=1e-5)
    assert np.abs(first - probs(recinfer.load_scorer(home / "export").score(table))).max() > 1e-4
    with pytest.raises(ModelError):
        recinfer.export(home / "pipeline.config", tmp_path / "none", checkpoint_path=home / "nowhere")


def test_export_without_rows_to_compare_on(home: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no rows to compare"):
        recinfer.export(home / "pipeline.config", tmp_path / "out", overrides=["eval_input_path=", "train_input_path="])
    assert list(tmp_path.iterdir()) == []


def test_fingerprints_are_of_the_parameters(home: Path, tmp_path: Path) -> None:
    checkpoints = sorted((home / "model").glob("model.ckpt-*"))
    assert fingerprint.fingerprint(checkpoints[0]) == fingerprint.fingerprint(checkpoints[0])
    assert fingerprint.fingerprint(checkpoints[0]) != fingerprint.fingerprint(checkpoints[1])
    exported = recinfer.load_scorer(home / "export").fingerprint
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in (home / "export").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert recinfer.load_scorer(copy).fingerprint == exported


def test_paths_that_hold_no_model(home: Path, tmp_path: Path) -> None:
    cases: dict[Path, str] = {
        tmp_path / "nowhere": "does not exist",
        tmp_path: "neither an export nor a checkpoint: it holds nothing",
        home / "pipeline.config": "a config without weights",
    }
    for path, message in cases.items():
        with pytest.raises(ModelError, match=message):
            recinfer.load_scorer(path)
    with pytest.raises(ConfigError, match="does not exist"):
        recinfer.load_scorer(tmp_path / "pipeline.config", home / "model")
    (tmp_path / "w.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ModelError, match="no safetensors file"):
        recinfer.load_scorer(home / "pipeline.config", tmp_path / "w.safetensors")


def test_validate_finds_nothing_in_a_good_config_and_table(home: Path) -> None:
    assert recinfer.validate(home / "pipeline.config", data=str(home / "eval.parquet")) == []


def test_validate_lists_every_column_that_does_not_fit(home: Path, tmp_path: Path) -> None:
    table = pq.read_table(home / "eval.parquet").drop_columns(["liked", "age"]).rename_columns({"user_id": "users_id"})
    pq.write_table(table, tmp_path / "t.parquet")
    problems = recinfer.validate(home / "pipeline.config", data=str(tmp_path / "t.parquet"))
    assert [problem.what for problem in problems] == [
        "input has no column 'user_id'",
        "input has no column 'age'",
        "input has no column 'liked'",
    ]
    assert problems[0].hint == "did you mean 'users_id'?"
    assert all(problem.where == str(tmp_path / "t.parquet") for problem in problems)


def test_validate_builds_the_model_without_memory_for_it(home: Path) -> None:
    """A table of half a terabyte is only measured, and a group that does not exist is found."""
    problems = recinfer.validate(
        home / "pipeline.config", overrides=["feature_configs[0].id_feature.hash_bucket_size=17179869184"]
    )
    assert problems == []
    problems = recinfer.validate(
        home / "pipeline.config", overrides=['model_config.multi_tower_din.din_towers[0].input="deep"']
    )
    assert problems and any("deep" in problem.what for problem in problems)


def test_overrides_reach_every_function(home: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        recinfer.export(home / "pipeline.config", tmp_path / "x", overrides=["no_such_field=1"])
    metrics = recinfer.evaluate(
        home / "pipeline.config",
        overrides=["data_config.batch_size=7"],
        edit_config_json=json.dumps({"eval_input_path": str(home / "train.parquet")}),
        eval_result_path=tmp_path / "r.json",
    )
    assert metrics["auc"] != recinfer.evaluate(home / "pipeline.config", eval_result_path=tmp_path / "r.json")["auc"]


def test_a_config_that_is_loaded_already_makes_a_parser(exported: Callable[[str], Path]) -> None:
    path = exported("deepfm") / "pipeline.config"
    from recinfer.main import load_config

    batch = make_table(4, 1)
    first, second = recinfer.load_parser(path)(batch), recinfer.load_parser(load_config(path))(batch)
    assert first.keys() == second.keys() and "genres.values" in first
