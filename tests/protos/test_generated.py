"""The committed generated code is what protos/ generates."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _check(root: Path) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("grpc_tools", reason="grpcio-tools comes with the development requirements")
    command = ["bash", str(root / "scripts" / "generate_protos.sh"), "--check"]
    return subprocess.run(command, env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    shutil.copytree(ROOT / "recinfer" / "protos", tmp_path / "recinfer" / "protos")
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "generate_protos.sh", tmp_path / "scripts")
    return tmp_path


def test_generated_code_is_current() -> None:
    result = _check(ROOT)
    assert result.returncode == 0, result.stderr


def test_a_changed_proto_is_noticed(copy: Path) -> None:
    eval_proto = copy / "protos" / "eval.proto"
    eval_proto.write_text(eval_proto.read_text().replace("num_steps = 1", "num_batches = 1"))
    result = _check(copy)
    assert result.returncode == 1
    assert "eval_pb2.py" in result.stderr


def test_a_module_without_proto_is_noticed(copy: Path) -> None:
    (copy / "recinfer" / "protos" / "old_pb2.py").write_text("")
    result = _check(copy)
    assert result.returncode == 1
    assert "old_pb2.py has no .proto" in result.stderr


def test_every_message_has_a_comment() -> None:
    for path in sorted((ROOT / "protos").glob("*.proto")):
        lines = path.read_text().splitlines()
        for before, line in pairwise(lines):
            if line.lstrip().startswith(("message ", "enum ")):
                assert before.lstrip().startswith("// "), f"{path.name}: {line}"
