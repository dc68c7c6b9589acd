"""The fastest kind of export is kept, and what the choice was made on is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from recinfer import inspect, load_scorer
from recinfer.data.parser import Tensors
from recinfer.env import Environment
from recinfer.errors import ModelError, ParityError, UsageError
from recinfer.export import auto, build, kinds
from recinfer.export.comparison import Speed
from recinfer.export.kinds import AUTO, AUTO_KINDS, KINDS, kind_name
from recinfer.export.script import write_scripted
from recinfer.export.tile import tiling_of
from recinfer.predict import open_export
from recinfer.predict.compiled_scorer import UnifiedScorer
from recinfer.predict.export_scorer import ExportScorer
from recinfer.predict.machine import Machine, this_machine
from recinfer.predict.model_scorer import ModelScorer
from recinfer.predict.scorer import Scorer
from tests.sided import SIDED
from tests.synthetic import config_of, make_table, model_of, write_export_of

ROWS = make_table(3, 1).to_batches()[0]


def pretend(monkeypatch: pytest.MonkeyPatch, **rates: float) -> list[Sequence[Any]]:
    """Speeds, by kind, that a measurement shall find; returns what was measured."""
    asked: list[Sequence[Any]] = []

    def speeds(scorers: Sequence[Any], rows: pa.RecordBatch, rounds: int) -> list[Speed]:
        asked.append(list(scorers))
        return [Speed(rate, rate / 2, rate * 2) for rate in list(rates.values())[: len(scorers)]]

    monkeypatch.setattr(auto, "speeds", speeds)
    return asked


def candidates(
    failing: Sequence[str] = (), error: type[Exception] = ModelError
) -> dict[str, tuple[Callable[[Path], None], Callable[[Path], Scorer]]]:
    """Kinds that each write a file of their own and one that all have; they score with nothing."""

    def writer(kind: str) -> Callable[[Path], None]:
        def write(folder: Path) -> None:
            assert (folder / "shared.txt").read_text(encoding="utf-8") == "for all"
            (folder / f"{kind}.bin").write_text(kind, encoding="utf-8")
            (folder / "model.bin").write_text(kind, encoding="utf-8")
            if kind in failing:
                raise error("cannot be compiled")

        return write

    def opener(kind: str) -> Callable[[Path], Any]:
        return lambda folder: (folder / "model.bin").read_text(encoding="utf-8")

    return {kind: (writer(kind), opener(kind)) for kind in ("torchscript", "aot", "other")}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "shared.txt").write_text("for all", encoding="utf-8")
    return tmp_path


def files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("rates", "chosen"),
    [
        ({"torchscript": 100.0, "aot": 150.0, "other": 120.0}, "aot"),
        ({"torchscript": 100.0, "aot": 120.0, "other": 150.0}, "other"),
        ({"torchscript": 100.0, "aot": 90.0, "other": 80.0}, "torchscript"),
        # What runs everywhere stays where another is faster by no more than noise.
        ({"torchscript": 100.0, "aot": 104.9, "other": 50.0}, "torchscript"),
        ({"torchscript": 100.0, "aot": 105.1, "other": 50.0}, "aot"),
    ],
)
def test_the_fastest_stays_alone(
    work: Path, monkeypatch: pytest.MonkeyPatch, rates: dict[str, float], chosen: str
) -> None:
    asked = pretend(monkeypatch, **rates)
    choice, scorer = auto.write_fastest(candidates(), ROWS, work)
    # The scorer that was measured, which these candidates name by their kind.
    assert scorer == chosen
    assert asked == [["torchscript", "aot", "other"]]
    assert choice.kind == chosen and choice.failed == {}
    assert {kind: speed.median for kind, speed in choice.speeds.items()} == rates
    assert files(work) == {"shared.txt": "for all", "model.bin": chosen, f"{chosen}.bin": chosen}
    assert not (work / "shared.txt").is_symlink()


def test_a_kind_that_a_model_cannot_have_is_told_and_leaves_nothing(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, torchscript=100.0, other=200.0)
    choice, scorer = auto.write_fastest(candidates(failing=["aot"]), ROWS, work)
    assert scorer == "other"
    assert choice.kind == "other" and choice.failed == {"aot": "cannot be compiled"}
    assert list(choice.speeds) == ["torchscript", "other"]
    assert files(work) == {"shared.txt": "for all", "model.bin": "other", "other.bin": "other"}
    assert json.loads(json.dumps(choice.to_json()))["speeds"]["other"] == {
        "median": 200.0,
        "slowest": 100.0,
        "fastest": 400.0,
    }


def test_the_folder_may_be_named_from_where_one_stands(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, torchscript=100, aot=200, other=50)
    monkeypatch.chdir(work.parent)
    choice, _ = auto.write_fastest(candidates(), ROWS, Path(work.name))
    assert choice.kind == "aot" and (work / "aot.bin").is_file()


def test_a_kind_that_does_not_open_is_told(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, torchscript=100, other=150)

    def fails(folder: Path) -> Scorer:
        raise ModelError("does not start")

    given = candidates()
    choice, _ = auto.write_fastest({**given, "aot": (given["aot"][0], fails)}, ROWS, work)
    assert choice.kind == "other" and choice.failed == {"aot": "does not start"}
    with pytest.raises(ModelError, match="does not start"):
        auto.write_fastest({**given, "torchscript": (given["torchscript"][0], fails)}, ROWS, work)


def test_a_bug_is_no_reason_to_choose_another_kind(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, torchscript=100.0)
    with pytest.raises(ZeroDivisionError):
        auto.write_fastest(candidates(failing=["aot"], error=ZeroDivisionError), ROWS, work)


def test_names_of_accelerations() -> None:
    unset = Environment()
    assert [kind_name(name, unset) for name in ("none", "aot", "auto", None)] == [
        "torchscript",
        "aot",
        AUTO,
        "torchscript",
    ]
    assert kind_name(None, Environment(enable_aot=1)) == "aot"
    # The flag wins over the variable.
    assert kind_name("none", Environment(enable_aot=1)) == "torchscript"
    assert set(AUTO_KINDS) <= set(KINDS)
    with pytest.raises(UsageError, match="ENABLE_AOT=9 is unknown"):
        kind_name(None, Environment(enable_aot=9))
    with pytest.raises(UsageError, match="accelerate='fast' is unknown"):
        kind_name("fast", unset)


RATES = {"torchscript": 100.0, "aot": 150.0, "aot-unified": 200.0}


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export by measurement in which the kind of one compiled file won, and that carries both fallbacks."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        pretend(monkeypatch, **RATES)
        folder = tmp_path_factory.mktemp("auto") / "export"
        return write_export_of("multi_tower_din", folder, kind=AUTO, carry=frozenset({"jit", "eager"}))


def test_the_manifest_says_why(chosen: Path) -> None:
    manifest = json.loads((chosen / "recinfer.json").read_text(encoding="utf-8"))
    assert manifest["kind"] == manifest["choice"]["kind"] == "aot-unified"
    assert {kind: each["median"] for kind, each in manifest["choice"]["speeds"].items()} == RATES
    held = {path.name for path in chosen.iterdir()}
    assert held >= {"aoti_model.pt2", "scripted_model.pt", "weights.safetensors"}
    assert "scripted_sparse_model.pt" not in held
    assert not any(path.is_symlink() or path.is_dir() for path in chosen.iterdir())
    assert set(manifest["sha256"]) == held - {"recinfer.json"}


def test_what_is_inside_is_the_program_s_not_that_of_the_carried_model(chosen: Path) -> None:
    contents = inspect(chosen)
    assert contents.operators == json.loads((chosen / "compiled.json").read_text(encoding="utf-8"))["operators"]
    assert contents.fallbacks == ["jit", "eager"] and contents.tables and contents.parameters == 0


@pytest.mark.parametrize(("fallback", "kind"), [(None, UnifiedScorer), ("jit", ExportScorer), ("eager", ModelScorer)])
def test_what_the_export_carries_scores_as_the_model(
    chosen: Path, monkeypatch: pytest.MonkeyPatch, fallback: str | None, kind: type[Scorer]
) -> None:
    if fallback is not None:
        # As on a machine with another torch; every file is what was exported.
        pretend_another_torch(monkeypatch)
        with pytest.raises(ModelError, match="--fallback jit or eager"):
            load_scorer(chosen)
    scorer = load_scorer(chosen, fallback=fallback)
    assert type(scorer) is kind
    config = config_of("multi_tower_din")
    wanted = ModelScorer(*model_of(config), "eager", config.data_config)
    for table in (make_table(300, 8), make_table(20, 9, nulls=1.0), make_table(1, 10)):
        for name in wanted.outputs.names:
            got, expected = (np.array(each.score(table)[name], np.float64) for each in (scorer, wanted))
            np.testing.assert_allclose(got, expected, atol=1e-5)


def pretend_another_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    def other(*, gpu: bool = True, device: torch.device | None = None) -> Machine:
        here = this_machine(gpu=gpu, device=device)
        return replace(here, versions={**here.versions, "torch": "2.1.0"})

    monkeypatch.setattr(open_export, "this_machine", other)


def test_an_export_carries_only_what_it_is_asked_to(tmp_path: Path) -> None:
    folder = write_export_of("multi_tower", tmp_path / "export", carry=frozenset({"jit"}))
    assert not (folder / "weights.safetensors").exists()
    carrying = write_export_of("multi_tower", tmp_path / "carrying", carry=frozenset({"eager"}))
    added = {path.name for path in carrying.iterdir()} - {path.name for path in folder.iterdir()}
    assert added == {"weights.safetensors"}


def test_a_carried_model_that_strays_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Straying(ExportScorer):
        """Scores that are a little off."""

        def run(self, tensors: Tensors) -> Tensors:
            return {name: scores + 0.01 for name, scores in super().run(tensors).items()}

    # Its compiled part need not be made for this.
    monkeypatch.setitem(kinds.KINDS, "aot", replace(kinds.KINDS["torchscript"], write=write_scripted))
    monkeypatch.setitem(build.OPENERS, "aot", ExportScorer)
    write_export_of("multi_tower", tmp_path / "sound", kind="aot", carry=frozenset({"jit"}))
    monkeypatch.setattr(build, "ExportScorer", Straying)
    with pytest.raises(ParityError, match="scored by the scripted model that it carries"):
        write_export_of("multi_tower", tmp_path / "export", kind="aot", carry=frozenset({"jit"}))
    assert not (tmp_path / "export").exists()


def test_kinds_that_are_weighed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    def choose(candidates: dict[str, Any], rows: pa.RecordBatch, work: Path) -> Any:
        seen.append(list(candidates))
        write, opened = candidates["torchscript"]
        write(work)
        return auto.Choice("torchscript", {}, {}), opened(work)

    monkeypatch.setattr(build, "write_fastest", choose)
    write_export_of("multi_tower", tmp_path / "plain", kind=AUTO)
    config = config_of("multi_tower", features=SIDED)
    model, features = model_of(config)
    given = {"config": config, "model": model, "features": features, "tiling": tiling_of(2, False, features)}
    write_export_of("multi_tower", tmp_path / "tiled", kind=AUTO, **given)
    assert seen == [["torchscript", "aot", "aot-unified"], ["torchscript", "aot"]]
