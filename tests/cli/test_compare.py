"""``recinfer compare``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]
Exported = Callable[[str], Path]


@pytest.fixture(autouse=True)
def short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    from recinfer.export import comparison

    monkeypatch.setattr(comparison, "ROUND_SECONDS", 1e-4)


def test_text(run: Run, exported: Exported, rows: Path) -> None:
    first, second = exported("deepfm"), exported("multi_tower")
    result = run("compare", first, second, "--data", rows, "--rows", "200")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"200 rows of {rows}"
    assert [line.split()[:2] for line in lines[2:4]] == [["A", "torchscript"], ["B", "torchscript"]]
    assert lines[4].startswith("speed: B scores ")
    header = lines[6].split()
    assert header == ["prediction", "mean", "50%", "90%", "99%", "99.9%", "largest", "undefined"]
    probs = next(line.split() for line in lines if line.split()[:1] == ["probs"])
    mean, *quantiles, largest = map(float, probs[1:7])
    assert 0 < mean < largest <= 1 and sorted(quantiles) == quantiles and quantiles[-1] <= largest
    assert "AUC:" in lines and lines[-1].split()[:3] == ["probs", "liked", "200"]


def test_json(run: Run, exported: Exported, rows: Path) -> None:
    folder = exported("deepfm")
    found = json.loads(run("compare", folder, folder, "--data", rows, "--json").stdout)
    assert found["rows"] == 300 and found["differences"]["probs"]["largest"] == 0
    assert found["first"] | {"speed": 0} == found["second"] | {"speed": 0}
    assert found["auc"]["probs"]["change"] == 0 and found["speed_ratio"] > 0


def test_data_that_is_not_there(run: Run, exported: Exported, tmp_path: Path) -> None:
    result = run("compare", exported("deepfm"), exported("deepfm"), "--data", tmp_path / "none.parquet")
    assert result.exit_code == 4 and "none.parquet" in result.stderr


def test_the_device_and_the_fallback_of_both(
    run: Run, exported: Exported, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["compare", exported("deepfm"), exported("deepfm"), "--data", rows, "--rows", "20"]
    assert run(*asked, "--device", "cpu", "--json").exit_code == 0
    refused = run(*asked, "--device", "tpu")
    assert refused.exit_code == 2 and "use cpu, cuda or cuda:n" in refused.stderr
    # As an export of a torch that is not here; the scripted model lies beside what does not run.
    folder = Path(shutil.copytree(exported("deepfm"), tmp_path / "other"))
    manifest = json.loads((folder / "recinfer.json").read_text(encoding="utf-8"))
    changed = {**manifest, "kind": "aot", "versions": {"torch": "2.1.0"}}
    (folder / "recinfer.json").write_text(json.dumps(changed), encoding="utf-8")
    asked[2] = folder
    assert run(*asked).exit_code == 8
    found = run(*asked, "--fallback", "jit", "--json")
    assert found.exit_code == 0 and json.loads(found.stdout)["differences"]["probs"]["largest"] == 0
