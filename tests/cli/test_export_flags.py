"""What the flags of ``recinfer export`` hand on, and what is said before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import recinfer.main
from recinfer.cli.export import export
from recinfer.config.save import to_text
from recinfer.errors import ModelError
from recinfer.predict import tensorrt_runtime
from tests.synthetic import config_of

BASE = ["--pipeline_config_path", "x.config", "--export_dir", "out"]


class HandedOnError(Exception):
    """Ends the command where its work would begin."""


def handed_on(monkeypatch: pytest.MonkeyPatch, *flags: str) -> dict[str, Any]:
    got: dict[str, Any] = {}

    def write(config: str, folder: str, **settings: Any) -> None:
        got.update(settings)
        raise HandedOnError

    monkeypatch.setattr(recinfer.main, "export", write)
    assert isinstance(CliRunner().invoke(export, [*BASE, *flags]).exception, HandedOnError | SystemExit)
    return got


def test_flags_of_compiled_exports_are_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = ["--trt", "--mixed-precision", "FP16", "--max-batch-size", "512", "--trt-max-seq-len", "40"]
    more = ["--trt-workspace-mib", "64", "--debug-trt", "--cuda-matmul-allow-tf32", "--no-cudnn-allow-tf32"]
    got = handed_on(monkeypatch, *flags, *more)
    wanted = {
        "accelerate": "trt",
        "mixed_precision": "fp16",
        "max_batch_size": 512,
        "trt_max_seq_len": 40,
        "trt_workspace_mib": 64,
        "debug_trt": True,
        "cuda_matmul_allow_tf32": True,
        "cudnn_allow_tf32": False,
    }
    assert {name: got[name] for name in wanted} == wanted


def test_flags_that_are_not_given_leave_it_to_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    got = handed_on(monkeypatch)
    names = ["accelerate", "mixed_precision", "max_batch_size", "cuda_matmul_allow_tf32", "cudnn_allow_tf32"]
    assert {got[name] for name in names} == {None} and got["debug_trt"] is False


def test_without_tensorrt_nothing_else_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of("deepfm")
    (tmp_path / "my.config").write_text(to_text(config), encoding="utf-8")
    monkeypatch.setattr(tensorrt_runtime.importlib.util, "find_spec", lambda name: None)
    # There is no checkpoint either, which would be the next error.
    with pytest.raises(ModelError, match="torch-tensorrt is not installed"):
        recinfer.main.export(tmp_path / "my.config", tmp_path / "out", accelerate="trt")
