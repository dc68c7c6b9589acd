"""What the flags of ``recinfer export`` hand on, and what is said before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import recinfer.main
from recinfer.cli.export import export
from recinfer.config.save import to_text
from recinfer.env import Environment
from recinfer.errors import ModelError, UsageError
from recinfer.export.kind_flags import KINDS_OF_FLAGS, refuse_unused
from recinfer.main.exporting import asked_tile
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


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--aot", "--trt"], "--aot and --trt do not go together"),
        (["--accelerate", "none", "--aot"], "--accelerate none and --aot do not go together"),
        (["--accelerate", "fast"], "'fast' is not one of 'none', 'aot', 'aot-unified', 'trt', 'auto'."),
        (["--quant-emb", "INT3"], "'INT3' is not one of 'FP32', 'FP16', 'INT8', 'INT4', 'INT2'."),
    ],
)
def test_flags_that_cannot_be(flags: list[str], says: str) -> None:
    result = CliRunner().invoke(export, [*BASE, *flags])
    assert result.exit_code == 2 and says in result.stderr


def test_flags_that_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    assert handed_on(monkeypatch, "--aot", "--accelerate", "aot")["accelerate"] == "aot"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"max_batch_size": 64}, "--max-batch-size says nothing to an export of kind torchscript"),
        ({"accelerate": "aot", "trt_max_seq_len": 9}, "--trt-max-seq-len says nothing to an export of kind aot"),
        ({"accelerate": "auto", "trt_workspace_mib": 0}, "--trt-workspace-mib says nothing to an export of kind auto"),
        ({"accelerate": "aot-unified", "debug_trt": True}, "--debug-trt says nothing to an export of kind aot-unified"),
        ({"accelerate": "aot", "cuda_matmul_allow_tf32": True}, "--cuda-matmul-allow-tf32 is about products on a GPU"),
        ({"accelerate": "aot-unified", "fold_mib": 0}, "--fold-mib says nothing to an export of kind aot-unified"),
        ({"parity_bound": float("nan")}, "nan is no bound"),
        ({"parity_bound": float("inf")}, "inf is no bound"),
        ({"carry": ["jit"]}, "what --carry jit would carry"),
    ],
)
def test_a_flag_that_would_be_dropped_is_refused(tmp_path: Path, settings: dict[str, Any], says: str) -> None:
    (tmp_path / "my.config").write_text(to_text(config_of("deepfm")), encoding="utf-8")
    with pytest.raises(UsageError, match=says):
        recinfer.main.export(tmp_path / "my.config", tmp_path / "out", **settings)


def test_what_every_kind_takes_is_not_refused() -> None:
    given: dict[str, Any] = {"max_batch_size": None, "debug_trt": False, "cuda_matmul_allow_tf32": False}
    refuse_unused("torchscript", "cpu", given, ["eager"])
    refuse_unused("auto", "cpu", {**given, "max_batch_size": 64}, ["jit", "eager"])
    refuse_unused("aot", "cuda", {"cuda_matmul_allow_tf32": True, "cudnn_allow_tf32": True}, ["jit"])
    refuse_unused("trt", "cuda", dict.fromkeys(KINDS_OF_FLAGS, 1), [])


@pytest.mark.parametrize(
    ("given", "variables", "wanted"),
    [
        ((None, False), {}, (0, False)),
        ((None, False), {"input_tile": 3, "input_tile_3_online": True}, (3, True)),
        ((3, True), {}, (3, True)),
        ((3, False), {"input_tile_3_online": True}, (3, True)),
        # The flag wins over INPUT_TILE, and what goes with that variable has no place then.
        ((2, False), {"input_tile": 3, "input_tile_3_online": True}, (2, False)),
        ((0, False), {"input_tile": 3, "input_tile_3_online": True}, (0, False)),
        # The flag --input-tile-3-online with another --input-tile is refused later.
        ((2, True), {}, (2, True)),
    ],
)
def test_tiling_of_flags_and_variables(
    given: tuple[int | None, bool], variables: dict[str, Any], wanted: tuple[int, bool]
) -> None:
    assert asked_tile(Environment(**variables), *given) == wanted
