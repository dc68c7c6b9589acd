"""Checkpoints: round trips, the reference's own, half-written and hostile ones, latest and best."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributed.checkpoint import FileSystemReader

from recinfer.errors import ModelError, OutputError
from recinfer.train.checkpoint import (
    Position,
    TrainState,
    best,
    checkpoints,
    delete_old,
    latest,
    load,
    load_training,
    read_position,
    save,
)
from recinfer.train.checkpoint_folders import read_results, record_results
from recinfer.train.checkpoint_storage import read_index, read_tensors, write_tensors
from recinfer.train.learner import ModelHolder
from recinfer.train.metadata_unpickler import read_metadata
from recinfer.train.moving_average import MovingAverage

REFERENCE = Path(__file__).parents[3] / "shared" / "checkpoints" / "deepfm_criteo"
needs_reference = pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference's checkpoint is not at hand")


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 1).half())


def write(folder: Path, step: int, model: nn.Module | None = None) -> Path:
    return save(TrainState(ModelHolder(model or network())), Position(step, 1, 2, "abc", 9), folder)


def test_round_trip_into_a_plain_model(tmp_path: Path) -> None:
    model = network()
    path = write(tmp_path, 12, model)
    assert path.name == "model.ckpt-12"
    assert sorted(p.name for p in path.iterdir()) == ["meta.json", "model", "optimizer", "plan"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.ckpt-12"]
    fresh = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 1).half())
    assert not torch.equal(fresh[0].weight, model[0].weight)  # type: ignore[index]
    assert load(fresh, tmp_path) == path
    torch.testing.assert_close(fresh.state_dict(), model.state_dict(), rtol=0, atol=0)
    assert read_position(path) == Position(12, 1, 2, "abc", 9)
    stock = FileSystemReader(path / "model").read_metadata()
    assert set(stock.state_dict_metadata) == {"model." + name for name in model.state_dict()}


def test_averages_count_their_updates(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 2))
    holder = ModelHolder(model)

    def state() -> TrainState:
        return TrainState(holder, averages=MovingAverage(dict(holder.named_parameters()), 0.5))

    first = state()
    assert first.averages is not None
    first.averages.update()
    first.averages.update()
    path = save(first, Position(2), tmp_path)
    second = state()
    assert second.averages is not None
    load_training(second, path)
    assert int(second.averages.updates) == 2
    # A checkpoint from before they were counted had at least one.
    shutil.rmtree(path / "ema")
    write_tensors(path / "ema", first.averages.averages)
    third = state()
    assert third.averages is not None
    load_training(third, path)
    assert int(third.averages.updates) == 1
    load(model, path, use_ema=True)


def test_saving_again_replaces(tmp_path: Path) -> None:
    write(tmp_path, 3)
    other = network()
    with torch.no_grad():
        other[0].weight.fill_(7.0)  # type: ignore[index]
    write(tmp_path, 3, other)
    fresh = network()
    load(fresh, tmp_path)
    assert bool((fresh[0].weight == 7.0).all())  # type: ignore[index]


@needs_reference
def test_the_references_checkpoint_loads() -> None:
    folder = REFERENCE / "model.ckpt-11"
    assert latest(REFERENCE) == folder
    for part in ("model", "optimizer"):
        stock = FileSystemReader(folder / part).read_metadata()
        assert read_index(folder / part).state_dict_metadata == stock.state_dict_metadata
    index = read_index(folder / "model").state_dict_metadata
    state = {name: torch.zeros(entry.size, dtype=entry.properties.dtype) for name, entry in index.items()}  # type: ignore[union-attr]
    read_tensors(folder / "model", state)
    table = state["model.embedding_group.emb_impls.__BASE__.ebc.embedding_bags.cat_0_emb.weight"]
    assert table.abs().sum() > 0
    assert read_position(folder) == Position(11)


@needs_reference
def test_the_references_checkpoint_fits_our_model() -> None:
    from recinfer.config.load import load_pipeline_config
    from recinfer.features import build_features
    from recinfer.models import build_model

    config = load_pipeline_config(REFERENCE / "pipeline.config")
    model = build_model(config, build_features(config))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    load(model, REFERENCE)
    assert all(not torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items() if tensor.dim() > 1)


class Opens:
    """Creates a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize(
    "callable_name", ["builtins.open", "os.system", "builtins.eval", "torch.load", "torch.hub.load"]
)
def test_hostile_names_are_refused(callable_name: str) -> None:
    module, name = callable_name.rsplit(".", 1)
    for protocol_code in (f"c{module}\n{name}\n.".encode(), pickle.dumps((module, name))):
        if protocol_code.startswith(b"c"):
            with pytest.raises(ModelError, match="which no checkpoint needs"):
                read_metadata(io.BytesIO(protocol_code), "here/.metadata")
        else:
            with pytest.raises(ModelError, match="is not a checkpoint index"):
                read_metadata(io.BytesIO(protocol_code), "here/.metadata")


def test_a_hostile_index_runs_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, 1)
    ran = tmp_path / "ran"
    (path / "model" / ".metadata").write_bytes(pickle.dumps(Opens(ran)))
    with pytest.raises(ModelError):
        load(network(), path)
    with pytest.raises(ModelError, match=r"builtins\.open|_?io\.open"):
        read_index(path / "model")
    assert not ran.exists()
    pickle.loads((path / "model" / ".metadata").read_bytes()).close()
    assert ran.exists(), "the pickle is hostile indeed"


def test_a_dotted_name_reaches_no_attribute() -> None:
    hostile = b"\x80\x04\x8c\x29torch.distributed.checkpoint.metadata\x94\x8c\x11Metadata.__init__\x93."
    hostile = hostile.replace(b"\x8c\x29", bytes([0x8C, len("torch.distributed.checkpoint.metadata")]))
    with pytest.raises(ModelError, match="which no checkpoint needs"):
        read_metadata(io.BytesIO(hostile), "x")


def test_an_index_that_points_outside_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, 1) / "model"
    index = FileSystemReader(path).read_metadata()
    for info in index.storage_data.values():
        info.relative_path = "../../secret"
    (path / ".metadata").write_bytes(pickle.dumps(index))
    with pytest.raises(ModelError, match="points outside its folder"):
        read_index(path)


def test_hostile_entries_are_not_unpickled(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    write_tensors(tmp_path / "folder", {"model.extra": Opens(ran), "model.w": torch.ones(2)})
    with pytest.raises(ModelError, match="cannot be read"):
        read_tensors(tmp_path / "folder", {"model.extra": None, "model.w": torch.zeros(2)})
    assert not ran.exists()


@pytest.mark.parametrize("damage", ["no index", "no data", "short data", "draft"])
def test_half_written_checkpoints_are_never_picked(tmp_path: Path, damage: str) -> None:
    good, bad = write(tmp_path, 5), write(tmp_path, 9)
    assert latest(tmp_path) == bad
    data = next((bad / "model").glob("*.distcp"))
    if damage == "no index":
        (bad / "model" / ".metadata").unlink()
    elif damage == "no data":
        data.unlink()
    elif damage == "short data":
        os.truncate(data, data.stat().st_size - 10)
    else:
        bad.rename(tmp_path / ".model.ckpt-9.123")
    assert latest(tmp_path) == good
    assert checkpoints(tmp_path) == [good]


def test_a_failed_save_leaves_nothing(tmp_path: Path) -> None:
    class Fails(nn.Module):
        def state_dict(self, *args: Any, **kwargs: Any) -> Any:
            raise OSError("disk full")

    with pytest.raises(OutputError, match="disk full"):
        save(TrainState(Fails()), Position(4), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_missing_checkpoint_says_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        latest(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="it is empty"):
        latest(tmp_path)
    (tmp_path / "pipeline.config").touch()
    with pytest.raises(ModelError, match=r"it holds pipeline\.config"):
        load(network(), tmp_path)


def test_what_does_not_fit_is_listed(tmp_path: Path) -> None:
    path = write(tmp_path, 2)

    class Renamed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleDict({"0": nn.Linear(3, 4), "1": nn.BatchNorm1d(2), "02": nn.Linear(2, 1)})

        def state_dict(self, *args: Any, **kwargs: Any) -> Any:
            return {name.removeprefix("layers."): tensor for name, tensor in super().state_dict().items()}

    with pytest.raises(ModelError) as caught:
        load(Renamed(), path)
    text = str(caught.value)
    assert "missing in the checkpoint, 2:" in text
    assert "model.02.weight (nearest: model.2.weight)" in text
    assert "unknown to the model, 2:" in text
    assert "model.0.weight: (2, 3) in the checkpoint, (4, 3) in the model" in text


def test_best_by_recorded_results(tmp_path: Path) -> None:
    for step, auc, loss in ((1, 0.6, 0.5), (2, 0.8, 0.4), (3, float("nan"), 0.1), (4, 0.8, 0.7), (7, 0.99, 0.0)):
        if step != 7:
            write(tmp_path, step)
        record_results(tmp_path, step, {"auc": auc, "loss": loss})
    assert best(tmp_path, "auc").name == "model.ckpt-4"
    assert best(tmp_path, "loss", larger_is_better=False).name == "model.ckpt-3"
    with pytest.raises(ModelError, match="recorded are: auc, loss"):
        best(tmp_path, "auc_buy")
    with (tmp_path / "eval_results.jsonl").open("a") as stream:
        stream.write('{"step": 9, "met')
    assert len(read_results(tmp_path)) == 5
    assert [path.name for path in delete_old(tmp_path, 2)] == ["model.ckpt-1", "model.ckpt-2"]
    assert [path.name for path in checkpoints(tmp_path)] == ["model.ckpt-3", "model.ckpt-4"]
    assert delete_old(tmp_path, 0) == []


def test_plan_is_json_of_the_references_form(tmp_path: Path) -> None:
    plan = {"model.ebc": {"a": {"sharding_type": "table_wise", "compute_kernel": "fused", "ranks": [0]}}}
    path = save(TrainState(network(), plan=json.dumps(plan)), Position(1), tmp_path)
    assert json.loads((path / "plan").read_text()) == plan
