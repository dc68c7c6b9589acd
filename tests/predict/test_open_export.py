"""Opening exports: checked first, then the scorer of their kind, or the fallback that they carry."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from safetensors.torch import save_file

from recinfer import load_scorer
from recinfer.errors import ModelError, SignatureMissingError, UsageError
from recinfer.predict.model_scorer import ModelScorer
from recinfer.predict.open_export import carried_fallbacks, is_export, kind_of, open_export
from tests.synthetic import config_of, make_table, model_of

Exported = Callable[[str], Path]
TABLE = make_table(50, 3)


@pytest.fixture
def folder(exported: Exported, tmp_path: Path) -> Path:
    shutil.copytree(exported("multi_tower"), tmp_path / "export")
    return tmp_path / "export"


def rewrite(folder: Path, **changes: Any) -> None:
    """Changes ``recinfer.json``; None removes an entry."""
    path = folder / "recinfer.json"
    content = {**json.loads(path.read_text(encoding="utf-8")), **changes}
    path.write_text(json.dumps({name: each for name, each in content.items() if each is not None}), encoding="utf-8")


def no_hash(path: Path) -> str:
    raise AssertionError("files with a listed SHA-256 are not hashed again for a fingerprint")


def probs(table: pa.Table) -> np.ndarray:
    return np.array(table["probs"], np.float64)


def test_a_scripted_export_opens_and_has_its_program_s_hash(folder: Path) -> None:
    listed = json.loads((folder / "recinfer.json").read_text(encoding="utf-8"))["sha256"]
    assert open_export(folder, no_hash).fingerprint == listed["scripted_model.pt"]
    (folder / "recinfer.json").unlink()
    assert open_export(folder, lambda path: f"of {path.name}").fingerprint == "of scripted_model.pt"


def test_a_newer_torch_is_warned_of(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    rewrite(folder, versions={"torch": "99.0"})
    with caplog.at_level(logging.WARNING):
        open_export(folder, no_hash)
    assert "torch: it asks for 99.0 or newer" in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 99}, r"is of format 99, and this version reads 1\n  hint: install a newer recinfer"),
        ({"kind": "dreamt"}, "an export of kind 'dreamt'"),
        ({"sha256": 3}, "is damaged"),
    ],
)
def test_manifests_that_are_refused(folder: Path, changes: dict[str, Any], message: str) -> None:
    rewrite(folder, **changes)
    with pytest.raises(ModelError, match=message):
        open_export(folder, no_hash)


def test_a_manifest_that_is_no_object_is_refused(folder: Path) -> None:
    (folder / "recinfer.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ModelError, match="is damaged"):
        open_export(folder, no_hash)


def add_weights(folder: Path) -> None:
    """Puts the trained parameters into the folder, as an export that carries them has them."""
    save_file(model_of(config_of("multi_tower"))[0].state_dict(), folder / "weights.safetensors")
    listed = json.loads((folder / "recinfer.json").read_text(encoding="utf-8"))["sha256"]
    digest = hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
    rewrite(folder, sha256={**listed, "weights.safetensors": digest})


def test_a_program_that_the_manifest_does_not_list_is_refused(folder: Path) -> None:
    listed = json.loads((folder / "recinfer.json").read_text(encoding="utf-8"))["sha256"]
    rewrite(folder, sha256={name: each for name, each in listed.items() if name != "scripted_model.pt"})
    with pytest.raises(ModelError, match=r"recinfer\.json does not list scripted_model\.pt"):
        open_export(folder, no_hash)
    rewrite(folder, sha256=listed)
    (folder / "aoti_model.pt2").write_bytes(b"added")
    with pytest.raises(ModelError, match=r"recinfer\.json does not list aoti_model\.pt2"):
        open_export(folder, no_hash)


def make_compiled(folder: Path, **changes: Any) -> None:
    """Makes the manifest that of a compiled export of another torch."""
    rewrite(folder, kind="aot", versions={"torch": "2.1.0"}, **changes)


def test_what_does_not_run_here_names_the_fallbacks_that_are_carried(folder: Path) -> None:
    make_compiled(folder)
    with pytest.raises(ModelError, match=r"torch: it asks for 2\.1\.0, here is 2\.(.|\n)*hint: --fallback jit runs"):
        load_scorer(folder)
    with pytest.raises(ModelError, match=r"carries no weights\.safetensors\n  hint: use --fallback jit"):
        load_scorer(folder, fallback="eager")
    (folder / "scripted_model.pt").unlink()
    listed = json.loads((folder / "recinfer.json").read_text(encoding="utf-8"))["sha256"]
    rewrite(folder, sha256={name: each for name, each in listed.items() if name != "scripted_model.pt"})
    with pytest.raises(ModelError, match=r"does not run here(.|\n)*hint: export again on such a machine"):
        load_scorer(folder)


def test_fallback_jit_scores_with_the_scripted_model(
    exported: Exported, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = probs(load_scorer(exported("multi_tower")).score(TABLE))
    make_compiled(folder)
    with caplog.at_level(logging.WARNING):
        scorer = load_scorer(folder, fallback="jit")
    assert "scoring with --fallback jit: torch: it asks for 2.1.0" in caplog.text
    np.testing.assert_array_equal(probs(scorer.score(TABLE)), expected)


def test_fallback_eager_scores_with_the_parameters(exported: Exported, folder: Path) -> None:
    add_weights(folder)
    make_compiled(folder)
    assert carried_fallbacks(folder, "aot") == ["jit", "eager"]
    with pytest.raises(UsageError, match="use --fallback jit"):
        open_export(folder, no_hash, fallback="eager")
    scorer = load_scorer(folder, fallback="eager")
    assert isinstance(scorer, ModelScorer)
    expected = probs(load_scorer(exported("multi_tower")).score(TABLE))
    np.testing.assert_allclose(probs(scorer.score(TABLE)), expected, atol=1e-5)


def test_a_fallback_is_not_used_where_the_export_runs(folder: Path) -> None:
    add_weights(folder)
    assert not isinstance(load_scorer(folder, fallback="eager"), ModelScorer)


def test_a_newer_format_has_no_fallback(folder: Path) -> None:
    make_compiled(folder, format=2)
    with pytest.raises(ModelError, match="install a newer recinfer"):
        load_scorer(folder, fallback="jit")


def test_kinds_by_files(tmp_path: Path) -> None:
    assert not is_export(tmp_path)
    (tmp_path / "aoti_model.pt2").touch()
    assert is_export(tmp_path) and kind_of({}, tmp_path) == "aot"
    (tmp_path / "scripted_model.pt").touch()
    assert kind_of({}, tmp_path) == "torchscript" and kind_of({"kind": "trt"}, tmp_path) == "trt"


def test_machine_code_of_the_reference_is_refused(tmp_path: Path) -> None:
    for name in ("aoti_model.pt2", "scripted_sparse_model.pt", "pipeline.config"):
        (tmp_path / name).touch()
    with pytest.raises(ModelError, match=r"as TorchEasyRec makes them(.|\n)*export its checkpoint"):
        load_scorer(tmp_path)


def test_only_exports_are_signed(tmp_path: Path) -> None:
    with pytest.raises(SignatureMissingError, match="only exports are"):
        load_scorer(tmp_path, public_key=tmp_path / "key.pem")
