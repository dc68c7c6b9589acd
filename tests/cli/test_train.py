"""``recinfer train``, ``eval`` and ``export``, one after the other as a user runs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner, Result

from recinfer.cli.app import app
from recinfer.cli.train import StepLines
from recinfer.config.save import to_text
from recinfer.train.reports import StepResult
from tests.synthetic import config_of, make_table

Run = Callable[..., Result]

TRAINING = """
train_config {
  sparse_optimizer { adagrad_optimizer { lr: 0.05 } constant_learning_rate {} }
  dense_optimizer { adam_optimizer { lr: 0.01 } constant_learning_rate {} }
  num_epochs: 1 log_step_count_steps: 2
}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A folder with pipeline.config, rows.parquet and a trained model/, and what training printed."""
    folder = tmp_path_factory.mktemp("trained")
    rows = folder / "rows.parquet"
    pq.write_table(make_table(256, 4), rows)
    text = to_text(config_of("deepfm")).replace("model_config {", "model_config { metrics { auc {} }", 1)
    paths = f'train_input_path: "{rows}" eval_input_path: "{rows}" model_dir: "{folder / "model"}"\n'
    (folder / "pipeline.config").write_text(paths + TRAINING + text)
    return folder, CliRunner().invoke(app, ["train", "--pipeline_config_path", str(folder / "pipeline.config")])


def test_train_prints_steps_and_the_outcome(trained: tuple[Path, Result]) -> None:
    folder, result = trained
    assert result.exit_code == 0, result.stderr
    assert "step 2, epoch 0: total" in result.stderr and "rows/s" in result.stderr
    assert f"saved {folder / 'model' / 'model.ckpt-4'}" in result.stderr
    assert result.stdout.startswith("done: step 4, epoch 1; 256 rows in ")
    assert "auc " in result.stdout and "model.ckpt-4" in result.stdout


def test_train_goes_on(run: Run, trained: tuple[Path, Result], tmp_path: Path) -> None:
    folder, _ = trained
    given = ("train", "--pipeline-config", folder / "pipeline.config", "--model_dir", tmp_path / "model", "--json")
    first = json.loads(run(*given).stdout)
    second = run(*given, "-o", "train_config.num_epochs=2")
    report = json.loads(second.stdout)
    assert (first["step"], first["resumed_from"]) == (4, None)
    assert (report["step"], report["rows"], report["epoch"]) == (8, 256, 2)
    assert report["resumed_from"] == first["checkpoint"] == str(tmp_path / "model" / "model.ckpt-4")
    assert set(report["metrics"]) == {"auc"}
    assert f"going on from {report['resumed_from']}" in second.stderr


def test_eval_prints_and_writes(run: Run, trained: tuple[Path, Result], tmp_path: Path) -> None:
    folder, _ = trained
    given = (
        "eval",
        "--pipeline_config_path",
        folder / "pipeline.config",
        "--eval_result_filename",
        tmp_path / "e.json",
    )
    written = run(*given)
    metrics = json.loads(run(*given, "--json").stdout)
    assert written.stdout == f"auc  {metrics['auc']:.6f}\n"
    assert json.loads((tmp_path / "e.json").read_text()) == {"global_step": 4, **metrics}


@pytest.mark.parametrize("place", ["rows.parquet/eval.json", "", "rows.parquet/sub/eval.json"])
def test_metrics_that_could_not_be_written_are_not_measured(
    run: Run, trained: tuple[Path, Result], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = trained
    monkeypatch.setattr("recinfer.train.evaluator.evaluate", lambda *_, **__: pytest.fail("measured"))
    given = ("eval", "--pipeline_config_path", folder / "pipeline.config")
    result = run(*given, "--eval_result_path", folder / place)
    assert result.exit_code == 6
    assert f"the metrics cannot be written to {folder / place}" in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_metrics_that_find_no_room(run: Run, trained: tuple[Path, Result]) -> None:
    folder, _ = trained
    given = ("eval", "--pipeline_config_path", folder / "pipeline.config", "--eval_result_path", "/dev/full")
    result = run(*given)
    assert (result.exit_code, result.stderr) == (
        6,
        "error: the metrics cannot be written to /dev/full: No space left on device\n",
    )


@pytest.mark.parametrize("command", [["train"], ["eval"], ["export", "--export_dir", "made"]])
def test_an_empty_model_dir_is_not_the_current_folder(
    command: list[str], run: Run, trained: tuple[Path, Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = trained
    monkeypatch.chdir(tmp_path)
    result = run(*command, "--pipeline_config_path", folder / "pipeline.config", "-o", 'model_dir=""')
    assert (result.exit_code, list(tmp_path.iterdir())) == (3, [])
    assert "the config has no model_dir" in result.stderr


def test_export_reports_parity_and_files(run: Run, trained: tuple[Path, Result], tmp_path: Path) -> None:
    folder, _ = trained
    given = ("export", "--pipeline_config_path", folder / "pipeline.config", "--export_dir", tmp_path / "export")
    result = run(*given, "--quant_emb", "int8", "--parity_rows", "100")
    assert result.exit_code == 0, result.stderr
    for said in ("scripted_model.pt", "recinfer.json", "scores of 100 rows", "probs", "the bound is 0.05"):
        assert said in result.stdout, said
    refused = run(*given)
    assert (refused.exit_code, refused.stdout) == (6, "")
    report = json.loads(run(*given, "--overwrite", "--json").stdout)
    parity = report["parity"]
    assert parity["rows"] == 256
    assert parity["differences"]["probs"]["largest"] <= parity["bound"] == 1e-4
    assert json.loads((tmp_path / "export" / "model_acc.json").read_text()) == {"SPARSE_INT64": "1"}


def test_the_report_of_an_export_is_printed_kept_and_shown(
    run: Run, trained: tuple[Path, Result], tmp_path: Path
) -> None:
    folder, _ = trained
    target = tmp_path / "export"
    given = ("export", "--pipeline_config_path", folder / "pipeline.config", "--export_dir", target)
    report = json.loads(run(*given, "--quant-emb", "INT8", "--quant-dense", "int8", "--json").stdout)
    assert report.pop("export_dir") == str(target)
    manifest = json.loads((target / "recinfer.json").read_text())
    assert {name: manifest[name] for name in report} == report
    assert report["types"].items() >= {"quant_emb": "INT8", "quant_ec_emb": "FP32", "quant_dense": "int8"}.items()
    assert {"largest", "mean", "size"} == report["parity"]["differences"]["probs"].keys()
    assert report["auc"]["probs"]["change"] == report["auc"]["probs"]["second"] - report["auc"]["probs"]["first"]
    assert report["bytes"] > 0 and report["speeds"].keys() == {"eager", "export"} and report["choice"] is None
    shown = json.loads(run("inspect", target, "--json").stdout)
    assert {name: shown[name] for name in ("types", "parity", "auc", "speeds")} == {
        name: report[name] for name in ("types", "parity", "auc", "speeds")
    }
    pair, speed = report["auc"]["probs"], report["speeds"]["export"]["median"]
    text = {" ".join(line.split()) for line in run("inspect", target).stdout.splitlines()}
    assert any(line.startswith("types quant_emb=INT8, quant_ec_emb=FP32, quant_dense=int8") for line in text)
    assert any(line.startswith(f"speed {speed:,.0f} rows/s on one thread when made") for line in text)
    assert any(line.startswith(f"probs liked {pair['first']:.6g} {pair['second']:.6g} ") for line in text)
    printed = run(*given, "--overwrite").stdout
    for said in ("AUC of probs: model 0.", "rows/s on one thread", "times the model's"):
        assert said in printed, said


def test_export_refuses_what_strays(run: Run, trained: tuple[Path, Result], tmp_path: Path) -> None:
    folder, _ = trained
    given = ("export", "--pipeline_config_path", folder / "pipeline.config", "--export_dir", tmp_path / "export")
    result = run(*given, "--quant-emb", "INT8", "--parity-bound", "1e-9")
    assert result.exit_code == 10
    assert "--parity-bound" in result.stderr
    assert not (tmp_path / "export").exists()


@pytest.mark.parametrize("command", [["eval"], ["export", "--export_dir", "somewhere"]])
def test_a_missing_checkpoint(command: list[str], run: Run, trained: tuple[Path, Result], tmp_path: Path) -> None:
    given = ("--pipeline_config_path", trained[0] / "pipeline.config", "--checkpoint_path", tmp_path / "none")
    result = run(*command, *given)
    assert result.exit_code == 8
    assert str(tmp_path / "none") in result.stderr


@pytest.mark.parametrize("command", ["train", "eval", "export"])
def test_a_config_is_needed(command: str, run: Run) -> None:
    result = run(command, *(["--export_dir", "x"] if command == "export" else []))
    assert result.exit_code == 2
    assert "--pipeline_config_path" in result.stderr


def test_step_lines_fill_long_silences(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("recinfer.cli.train.time.monotonic", lambda: now[0])
    lines = StepLines()
    for step, seconds in enumerate((0, 1, 8, 2), 1):
        now[0] += seconds
        lines(StepResult(step, 0, 50, torch.tensor(0.5), {"dense": 0.01}))
    assert capsys.readouterr().err.splitlines() == [
        "step 1, epoch 0: total 0.50000; lr dense 0.01",
        "step 4, epoch 0: total 0.50000; lr dense 0.01; 14 rows/s",
    ]
