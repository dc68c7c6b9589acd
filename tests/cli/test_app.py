"""The group of commands, and what starting one costs."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

import recinfer
from recinfer.cli.app import COMMANDS, app
from recinfer.errors import RecinferError

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "pyarrow", "numpy", "google.protobuf", "rich")


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=120)


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert [name for name in COMMANDS if f"\n  {name} " in result.stdout] == list(COMMANDS)


def test_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout.split() == ["recinfer", recinfer.__version__]


@pytest.mark.parametrize(("word", "said"), [("predikt", "'predict'"), ("qqq", "validate, train, eval")])
def test_unknown_command_names_the_nearest_or_all(word: str, said: str) -> None:
    result = CliRunner().invoke(app, [word])
    assert result.exit_code == 2
    assert said in result.stderr


def test_help_imports_nothing_heavy() -> None:
    script = f"""
import sys
from recinfer.cli.app import app
light = [["--help"], *([name, "--help"] for name in {list(COMMANDS)!r}), ["models"], ["models", "ple"]]
for arguments in [*light, ["predict", "--nonsense"]]:
    try:
        app(arguments)
    except SystemExit as end:
        assert end.code == (2 if "--nonsense" in arguments else 0), (arguments, end.code)
print("heavy:", [name for name in {HEAVY!r} if name in sys.modules])
"""
    result = python("-c", script)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "heavy: []"


@pytest.mark.parametrize("room", ["predict", "export", "train", "eval"])
def test_rooms_run_as_modules(room: str) -> None:
    result = python("-m", f"recinfer.{room}", "--help")
    assert result.returncode == 0, result.stderr
    assert f"Usage: python -m recinfer.{room} " in result.stdout


def test_every_console_script_exists() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert set(scripts) == {"recinfer", "recinfer-train", "recinfer-eval", "recinfer-export", "recinfer-predict"}
    for target in scripts.values():
        module, _, function = target.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


def exit_codes(error: type[RecinferError]) -> set[int]:
    return {error.exit_code}.union(*(exit_codes(kind) for kind in error.__subclasses__()))


def test_troubleshooting_explains_every_exit_code() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    for code in exit_codes(RecinferError) | {0, 130}:
        assert f"\n| {code} | " in page, code
