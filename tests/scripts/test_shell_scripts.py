"""The shell scripts: that they parse, and what set-up does before it installs anything."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = [*sorted((ROOT / "scripts").glob("*.sh")), ROOT / ".ci" / "run"]


def run_setup(venv: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "RECINFER_VENV": str(venv), **variables}
    command = ["bash", str(ROOT / "scripts" / "setup.sh"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_script_parses(path: Path) -> None:
    assert subprocess.run(["bash", "-n", str(path)], capture_output=True).returncode == 0


def test_setup_refuses_unknown_arguments(tmp_path: Path) -> None:
    result = run_setup(tmp_path / "venv", "--tpu")
    assert result.returncode == 1
    assert "unknown argument --tpu" in result.stderr
    assert not (tmp_path / "venv").exists()


def test_setup_never_touches_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    result = run_setup(tmp_path)
    assert result.returncode == 1
    assert "no virtual environment" in result.stderr
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_setup_says_when_there_is_no_python(tmp_path: Path) -> None:
    result = run_setup(tmp_path / "venv", RECINFER_PYTHON="python-that-is-not-there")
    assert result.returncode == 1
    assert "no Python 3.11 to 3.13" in result.stderr


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize("name", ["cpu.txt", "gpu.txt", "tensorrt.txt", "dev.txt"])
def test_every_requirement_is_pinned(name: str) -> None:
    for package, version in pins(name).items():
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]*", package), package
        assert re.fullmatch(r"\d+(\.\d+)*(\.post\d+)?", version), (package, version)


def test_gpu_and_cpu_differ_only_by_platform() -> None:
    cpu, gpu = pins("cpu.txt"), pins("gpu.txt")
    assert set(cpu) - set(gpu) == {"fbgemm-gpu-cpu"}
    assert all(gpu[name] == version for name, version in cpu.items() if name in gpu)
    assert gpu["fbgemm-gpu"] == cpu["fbgemm-gpu-cpu"] == "1.8.0"
    assert not set(cpu) & set(pins("dev.txt"))
    # A GPU without NVIDIA's index has all but TensorRT.
    assert not any("tensorrt" in name for name in gpu)
