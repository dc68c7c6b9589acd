"""A manifest that is missing, or is not what it should be, is told before anything of the export runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recinfer import inspect, load_scorer
from recinfer.errors import ModelError

Exported = Callable[[str], Path]


@pytest.fixture
def folder(exported: Exported, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported("deepfm"), tmp_path / "export"))


def change(folder: Path, **values: Any) -> None:
    """Replaces keys of the manifest; None takes one away."""
    manifest = json.loads((folder / "recinfer.json").read_text()) | values
    manifest = {key: value for key, value in manifest.items() if value is not None}
    (folder / "recinfer.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"versions": []}, r"Expected `object`, got `array` - at `\$\.versions`"),
        ({"versions": {"torch": 2}}, r"Expected `str`, got `int` - at `\$\.versions\[\.\.\.\]`"),
        ({"versions": None}, "it lacks `versions`"),
        ({"cpu_features": 7}, r"Expected `array`, got `int` - at `\$\.cpu_features`"),
        ({"cpu_features": [7]}, r"Expected `str`, got `int` - at `\$\.cpu_features\[0\]`"),
        ({"cpu_features": None}, "it lacks `cpu_features`"),
        ({"machine": None}, "it lacks `machine`"),
        ({"machine": 1}, "Expected `str`, got `int`"),
        ({"kind": []}, "Expected `str`, got `array`"),
        ({"parity": 3}, "Expected `object`, got `int`"),
        ({"parity": {}}, r"Object missing required field `\w+` - at `\$\.parity`"),
        ({"parity": {"rows": 1, "source": "", "bound": 0, "differences": {"y": {}}}}, "Object missing required field"),
        ({"auc": {"probs": {"label": "liked"}}}, "Object missing required field"),
        ({"speeds": {"eager": 5}}, r"Expected `object`, got `int` - at `\$\.speeds\[\.\.\.\]`"),
        ({"tables": [{"name": "x"}]}, r"Object missing required field `\w+` - at `\$\.tables\[0\]`"),
        ({"folded": {"features": []}}, "Object missing required field"),
        ({"outputs": ["probs"]}, "Expected `object`, got `array`"),
        ({"choice": "aot"}, r"Expected `object \| null`, got `str`"),
        ({"format": "1"}, "Expected `int`, got `str`"),
        ({"format": 0}, "Expected `int` >= 1"),
        ({"sha256": None}, "it lacks `sha256`"),
    ],
)
def test_damage_is_told(folder: Path, values: dict[str, Any], says: str) -> None:
    change(folder, **values)
    for use in (load_scorer, inspect):
        with pytest.raises(ModelError, match=rf"recinfer\.json is damaged: {says}"):
            use(folder)


def test_a_later_format_is_told_from_damage(folder: Path) -> None:
    change(folder, format=2, sha256=["other"], kind=7)
    for use in (load_scorer, inspect):
        with pytest.raises(ModelError, match="is of format 2, and this version reads 1") as caught:
            use(folder)
        assert caught.value.hint == "install a newer recinfer"


@pytest.mark.parametrize("name", ["pipeline.config", "model_acc.json", "fg.json"])
def test_what_decides_scores_must_be_listed(folder: Path, name: str) -> None:
    listed = json.loads((folder / "recinfer.json").read_text())["sha256"]
    change(folder, sha256={key: value for key, value in listed.items() if key != name})
    with pytest.raises(ModelError, match=f"does not list {name}"):
        load_scorer(folder)


def test_an_export_of_ours_is_nothing_without_its_manifest(folder: Path) -> None:
    (folder / "recinfer.json").unlink()
    load_scorer(folder)
    (folder / "compiled.json").write_text("{}")
    with pytest.raises(ModelError, match=r"no complete export: recinfer\.json is missing"):
        load_scorer(folder)
    (folder / "compiled.json").unlink()
    (folder / "recinfer.json").mkdir()
    with pytest.raises(ModelError, match=r"no complete export: recinfer\.json is missing"):
        load_scorer(folder)


def test_a_file_that_cannot_be_read_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Path.open

    def refuse(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "scripted_model.pt":
            raise PermissionError(13, "Permission denied")
        return held(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ModelError, match=r"scripted_model\.pt cannot be read: Permission denied"):
        load_scorer(folder)
