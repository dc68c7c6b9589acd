"""Checkpoints from elsewhere: names, shapes and types against the config, and nothing left behind that is not whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

import recinfer
from recinfer.config.save import save_pipeline_config
from recinfer.errors import ModelError, OutputError, UsageError
from recinfer.train import checkpoint_import
from recinfer.train.checkpoint import checkpoints, find_checkpoint, named_state, read_position
from recinfer.train.checkpoint_storage import read_all, write_tensors
from recinfer.train.import_names import read_pairs, rename
from recinfer.train.import_report import DoesNotFitError
from tests.synthetic import config_of, make_table, model_of

REFERENCE = ("checkpoints", "deepfm_criteo")
Change = Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]
DEEP = "model.deep_mlp.mlp.0.perceptron.0.weight"
TABLE = "model.embedding_group.emb_impls.__BASE__.ebc.embedding_bags.user_id_emb.weight"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with the config of a DeepFM."""
    save_pipeline_config(config_of("deepfm"), tmp_path / "pipeline.config")
    return tmp_path


def foreign(home: Path, change: Change = dict, bare: bool = False) -> tuple[Path, dict[str, torch.Tensor]]:
    """A checkpoint of that DeepFM with changed tensors, and the tensors before."""
    state = {name: tensor.clone() for name, tensor in named_state(model_of(config_of("deepfm"), 3)[0]).items()}
    optimizer = {
        f"state.{DEEP}.exp_avg": torch.full(state[DEEP].shape, 2.0),
        f"state.{TABLE}.user_id_emb.momentum1": torch.full(state[TABLE].shape, 3.0),
        "state.model.gone.exp_avg": torch.ones(2),
    }
    folder = home / "elsewhere" / "model.ckpt-7"
    write_tensors(folder / "model", change(dict(state)))
    write_tensors(folder / "optimizer", change(optimizer))
    write_tensors(folder / "ema", change({DEEP: torch.ones(state[DEEP].shape), "__n_averaged__": torch.tensor(5)}))
    return (folder / "model" if bare else folder), state


def renames(old: str, new: str) -> Change:
    return lambda state: {name.replace(old, new): tensor for name, tensor in state.items()}


def take(home: Path, source: Path, **options: Any) -> Any:
    return recinfer.import_checkpoint(source, home / "mine", home / "pipeline.config", **options)


def test_the_references_scores_as_it_did(shared: Path, tmp_path: Path) -> None:
    source = shared.joinpath(*REFERENCE)
    report = recinfer.import_checkpoint(source, tmp_path / "mine", source / "pipeline.config")
    assert report.imported and report.step == 11 and report.tensors == 62 and report.optimizer == 140
    assert not (report.missing or report.unexpected or report.renamed or report.optimizer_dropped)
    for part in ("model", "optimizer"):
        ours, theirs = (read_all(folder / part) for folder in (Path(report.target), source / "model.ckpt-11"))
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    expected = pq.read_table(source / "expected.parquet").sort_by("row_id")
    rows = pq.read_table(source / "input.parquet").sort_by("row_id")
    scored = recinfer.load_scorer(tmp_path / "mine").score(rows)
    np.testing.assert_allclose(np.array(scored["probs"]), np.array(expected["probs"]), atol=1e-5)


def test_renamed_parts_come_along_with_their_optimizer(home: Path) -> None:
    source, state = foreign(home, lambda found: renames("user_id_emb", "uid")(renames("deep_mlp", "dnn.tower")(found)))
    (home / "names.txt").write_text(f"# tables\n\n{TABLE.replace('user_id_emb', 'uid')} = {TABLE}\n", encoding="utf-8")
    names = ["model.dnn.tower.*=model.deep_mlp.*", str(home / "names.txt"), TABLE.replace("user_id_emb.", "uid_wide.")]
    wide = TABLE.replace("user_id_emb", "user_id_emb_wide")
    names[-1] = f"{wide.replace('user_id_emb', 'uid')}={wide}"
    report = take(home, source, names=names)
    target = Path(report.target)
    assert target == home / "mine" / "model.ckpt-7" == find_checkpoint(home / "mine")
    torch.testing.assert_close(read_all(target / "model"), state, rtol=0, atol=0)
    optimizer = read_all(target / "optimizer")
    assert optimizer.keys() == {f"state.{DEEP}.exp_avg", f"state.{TABLE}.user_id_emb.momentum1"}
    assert bool((optimizer[f"state.{TABLE}.user_id_emb.momentum1"] == 3).all())
    assert read_all(target / "ema").keys() == {DEEP, "__n_averaged__"}
    assert report.optimizer_dropped == ["state.model.gone.exp_avg"] and report.averages == 1
    assert report.renamed[DEEP] == DEEP.replace("deep_mlp", "dnn.tower")
    assert read_position(target).step == 7
    scorer = recinfer.load_scorer(home / "mine")
    plain = recinfer.load_scorer(home / "pipeline.config", foreign_copy(home))
    rows = make_table(40, 2)
    assert scorer.score(rows)["probs"].equals(plain.score(rows)["probs"])


def foreign_copy(home: Path) -> Path:
    shutil.rmtree(home / "elsewhere")
    return foreign(home)[0]


def test_a_bare_folder_of_tensors(home: Path) -> None:
    source, state = foreign(home, bare=True)
    report = recinfer.import_checkpoint(source, home / "mine" / "model.ckpt-30", home / "pipeline.config")
    assert report.optimizer == 0 and read_position(Path(report.target)).step == 30
    assert sorted(path.name for path in Path(report.target).iterdir()) == ["meta.json", "model", "plan"]
    torch.testing.assert_close(read_all(home / "mine" / "model.ckpt-30" / "model"), state, rtol=0, atol=0)


def without(name: str) -> Change:
    return lambda state: {key: tensor for key, tensor in state.items() if key != name}


def with_(**tensors: torch.Tensor) -> Change:
    return lambda state: state | {name.replace("__", "."): tensor for name, tensor in tensors.items()}


def test_every_difference_is_reported_at_once(home: Path) -> None:
    def change(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        state = renames("deep_mlp", "deep_mlpp")(state)
        bias = "model.output_mlp.bias"
        state = state | {"model.extra": torch.ones(2), TABLE: torch.ones(51, 8)}
        return state | ({bias: state[bias].double()} if bias in state else {})

    source, _ = foreign(home, change)
    with pytest.raises(DoesNotFitError) as caught:
        take(home, source)
    report = caught.value.report
    assert not report.imported and not (home / "mine").exists()
    assert report.missing[DEEP] == DEEP.replace("deep_mlp", "deep_mlpp")
    assert report.unexpected[DEEP.replace("deep_mlp", "deep_mlpp")] == DEEP and "model.extra" in report.unexpected
    assert report.wrong_shape == {TABLE: "(51, 8) in the checkpoint, (50, 8) in the model"}
    assert report.wrong_dtype == {"model.output_mlp.bias": "float64 in the checkpoint, float32 in the model"}
    assert len(report.missing) == 4 and len(report.unexpected) == 5
    assert f"{DEEP} (nearest: {DEEP.replace('deep_mlp', 'deep_mlpp')})" in str(caught.value)


def test_what_is_too_much_is_left_out_when_asked(home: Path) -> None:
    source, state = foreign(home, with_(model__extra=torch.ones(2)))
    with pytest.raises(DoesNotFitError, match="--drop-unexpected"):
        take(home, source)
    report = take(home, source, drop_unexpected=True)
    assert report.dropped == ["model.extra"]
    assert read_all(Path(report.target) / "model").keys() == state.keys()


def test_types_change_when_asked(home: Path) -> None:
    source, state = foreign(home, lambda found: {name: tensor.half() for name, tensor in found.items()})
    with pytest.raises(DoesNotFitError, match="change floating-point types by --cast"):
        take(home, source)
    report = take(home, source, cast=True)
    assert report.cast.keys() == state.keys()
    found = read_all(Path(report.target) / "model")
    torch.testing.assert_close(found, {name: tensor.half().float() for name, tensor in state.items()}, rtol=0, atol=0)


def test_integers_are_not_cast(home: Path) -> None:
    source, _ = foreign(home, lambda found: {name: tensor.int() for name, tensor in found.items()})
    with pytest.raises(DoesNotFitError, match="int32 in the checkpoint"):
        take(home, source, cast=True)


def test_a_cut_or_missing_checkpoint_is_refused(home: Path) -> None:
    source, _ = foreign(home)
    data = source / "model" / "__0_0.distcp"
    data.write_bytes(data.read_bytes()[:-9])
    for path, message in (
        (source, "incomplete"),
        (source / "model", "incomplete"),
        (home / "nowhere", "does not exist"),
    ):
        with pytest.raises(ModelError, match=message):
            take(home, path)
    assert not (home / "mine").exists()


@pytest.mark.parametrize("dies", ["write_tensors", "publish", "check_fit"])
def test_a_failure_leaves_nothing(home: Path, monkeypatch: pytest.MonkeyPatch, dies: str) -> None:
    source, _ = foreign(home)
    real = getattr(checkpoint_import, dies)

    def fails(*arguments: Any) -> Any:
        if dies == "write_tensors" and arguments[0].name == "model":
            return real(*arguments)
        raise OSError("disk full")

    monkeypatch.setattr(checkpoint_import, dies, fails)
    with pytest.raises(OutputError, match="disk full"):
        take(home, source)
    assert list((home / "mine").iterdir()) == []


def test_what_is_there_is_replaced_only_when_asked(home: Path) -> None:
    source, _ = foreign(home)
    take(home, source)
    (home / "mine" / "pipeline.config").write_text("mine", encoding="utf-8")
    before = read_all(home / "mine" / "model.ckpt-7" / "model")
    shutil.rmtree(home / "elsewhere")
    source, _ = foreign(home, lambda found: {name: tensor + 1 for name, tensor in found.items()})
    with pytest.raises(OutputError, match="--overwrite"):
        take(home, source)
    torch.testing.assert_close(read_all(home / "mine" / "model.ckpt-7" / "model"), before, rtol=0, atol=0)
    take(home, source, overwrite=True)
    after = {name: tensor + 1 for name, tensor in before.items()}
    torch.testing.assert_close(read_all(home / "mine" / "model.ckpt-7" / "model"), after, rtol=0, atol=0)
    assert (home / "mine" / "pipeline.config").read_text(encoding="utf-8") == "mine"
    assert len(checkpoints(home / "mine")) == 1
    with pytest.raises(UsageError, match="is the checkpoint to import"):
        recinfer.import_checkpoint(source, source.parent, home / "pipeline.config", overwrite=True)


def test_names_that_fit_nothing(home: Path) -> None:
    source, _ = foreign(home)
    for pair, message in (
        ("model.deap_mlp.*=model.deep_mlp.*", "not in the checkpoint"),
        (f"{DEEP}=model.deep_mlp.mlp.0.perceptron.0.wait", "not in the model.*\n.*did you mean"),
        ("a.*=b", "is no pair"),
        ("=b", "is no pair"),
        ("nowhere.txt", "no file that can be read"),
    ):
        with pytest.raises(UsageError, match=message):
            take(home, source, names=[pair])


def test_renaming() -> None:
    stored = ["a.x", "a.y", "b", "c"]
    assert rename([], stored) == {name: name for name in stored}
    assert rename([("a.*", "z.*"), ("a.y", "q")], stored) == {"b": "b", "c": "c", "q": "a.y", "z.x": "a.x"}
    assert rename([("b", "c"), ("c", "b")], stored) == {"a.x": "a.x", "a.y": "a.y", "c": "b", "b": "c"}
    assert rename([("b", "d"), ("b", "e")], stored) == {"a.x": "a.x", "a.y": "a.y", "c": "c", "d": "b", "e": "b"}
    with pytest.raises(UsageError, match="makes both"):
        rename([("b", "d"), ("c", "d")], stored)
    assert read_pairs(["a = b", "c.*=d.*"]) == [("a", "b"), ("c.*", "d.*")]
