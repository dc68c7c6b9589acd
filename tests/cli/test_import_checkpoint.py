"""``recinfer import-checkpoint``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

Run = Callable[..., Result]


def test_the_references(run: Run, shared: Path, tmp_path: Path) -> None:
    source = shared / "checkpoints" / "deepfm_criteo"
    flags = ("import-checkpoint", source, tmp_path / "mine", "--pipeline_config", source / "pipeline.config")
    result = run(*flags)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"done: {tmp_path / 'mine' / 'model.ckpt-11'}, 62 tensors, 141 KiB, from {source}")
    assert lines[1] == "  140 tensors of optimizer state"
    assert run(*flags).exit_code == 6
    report = json.loads(run(*flags, "--overwrite", "--json").stdout)
    assert report["imported"] and report["tensors"] == 62 and report["missing"] == {}


def test_what_does_not_fit_is_json_too(run: Run, shared: Path, tmp_path: Path) -> None:
    source = shared / "checkpoints" / "deepfm_criteo"
    flags = ("import-checkpoint", source, tmp_path / "mine", "--pipeline_config", source / "pipeline.config")
    other = ("-o", "model_config.deepfm.deep.hidden_units=[24,24,8]")
    result = run(*flags, *other, "--json")
    assert result.exit_code == 8
    report = json.loads(result.stdout)
    assert not report["imported"] and not (tmp_path / "mine").exists()
    assert (
        report["wrong_shape"]["model.deep_mlp.mlp.2.perceptron.0.bias"] == "(24,) in the checkpoint, (8,) in the model"
    )
    assert "of another shape, 3:" in result.stderr and "use the pipeline.config" in result.stderr


def test_renaming_is_shown(run: Run, shared: Path, tmp_path: Path) -> None:
    from recinfer.train.checkpoint_storage import read_all, write_tensors

    source = shared / "checkpoints" / "deepfm_criteo"
    tensors = read_all(source / "model.ckpt-11" / "model")
    write_tensors(tmp_path / "foreign", {f"net.{name}": tensor for name, tensor in tensors.items()})
    flags = ("--pipeline_config", source / "pipeline.config", "--map", "net.*=*")
    result = run("import-checkpoint", tmp_path / "foreign", tmp_path / "mine" / "model.ckpt-5", *flags)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert sum(line.startswith("  renamed: net.model.") for line in lines) == 10
    assert "  renamed: 52 more, which --json has" in lines
    assert lines[-1] == "  0 tensors of optimizer state: it predicts and fine-tunes, and does not resume training"
    missing = run("import-checkpoint", tmp_path / "foreign", tmp_path / "other", *flags[:2])
    assert missing.exit_code == 8 and "  ... and 42 more: --json has all" in missing.stderr
    report = json.loads(run("import-checkpoint", tmp_path / "foreign", tmp_path / "other", *flags[:2], "--json").stdout)
    assert report["missing"]["model.output_mlp.bias"] == "net.model.output_mlp.bias"
