"""``recinfer inspect``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from recinfer.cli.inspect import print_contents
from recinfer.export.contents import Contents

Run = Callable[..., Result]
Exported = Callable[[str], Path]


def test_text(run: Run, exported: Exported) -> None:
    folder = exported("multi_tower_din")
    result = run("inspect", folder)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"{folder}: torchscript export for cpu, made by recinfer ")
    text = {" ".join(line.split()) for line in lines}
    assert "history__movie_id.values int64 [steps]" in text
    assert "profile.values float32 [rows, 3]" in text
    assert "probs float" in text
    assert "movie 40 8 FP32 1280 none 2" in text
    assert "fbgemm::int_nbit_split_embedding_codegen_lookup_function 3" in text
    assert "signature none" in text and "parity, 200 rows of made up:" in text
    assert any(line.startswith("files 6 files, ") and "5 of them as recinfer.json lists them" in line for line in text)
    assert "note:" not in result.stdout


def test_json(run: Run, exported: Exported) -> None:
    folder = exported("deepfm")
    content = json.loads(run("inspect", folder, "--json").stdout)
    assert content["kind"] == "torchscript" and content["folder"] == str(folder)
    assert content["bytes"] == sum(path.stat().st_size for path in folder.iterdir())
    assert {"name": "user_id.lengths", "dtype": "int32", "shape": ["rows"]} in content["inputs"]
    tables = {each["name"]: each for each in content["tables"]}
    assert tables["user_id_emb"]["rows"] == 50 and tables["user_id_emb"]["bytes"] == 50 * 8 * 4


def test_why_a_kind_was_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    rates = {"torchscript": {"median": 1000.0}, "aot": {"median": 2345.6}}
    choice = {"kind": "aot", "speeds": rates, "failed": {"aot-unified": "it does not compile"}}
    speeds = {"eager": {"median": 500.0}, "export": {"median": 2400.0}}
    print_contents(Contents("folder", "aot", speeds=speeds, choice=choice))
    text = {" ".join(line.split()) for line in capsys.readouterr().out.splitlines()}
    assert "chosen torchscript 1,000 rows/s, aot 2,346 rows/s, not aot-unified: it does not compile" in text
    assert "speed 2,400 rows/s on one thread when made, 4.80 times the model's" in text


def test_an_export_of_the_reference(run: Run, shared: Path) -> None:
    result = run("inspect", shared / "exports" / "deepfm_criteo")
    assert result.exit_code == 0
    assert "torchscript export for cpu, of TorchEasyRec" in result.stdout
    assert "note: there is no recinfer.json" in result.stdout
    assert "cat_25_emb_wide" in result.stdout


def test_a_folder_that_is_none(run: Run, tmp_path: Path) -> None:
    result = run("inspect", tmp_path)
    assert result.exit_code == 8 and "is no export" in result.stderr
