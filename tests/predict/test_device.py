"""Models score on the device that is named, and what is not there is said."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from recinfer import load_scorer
from recinfer.errors import ModelError, UsageError
from recinfer.export.compile_options import CompileOptions
from recinfer.export.gpu_settings import write_gpu_settings
from recinfer.export.kinds import device_for
from recinfer.features.base import Feature
from recinfer.features.example import ragged_batch
from recinfer.predict import device
from recinfer.predict.compatibility import refuse
from recinfer.predict.device import CPU, Place, allow_tf32, default_device, device_of
from recinfer.predict.id_check import refuse_outside
from recinfer.predict.model_scorer import ModelScorer
from recinfer.predict.open_export import open_export
from tests.predict.conftest import read_parts
from tests.synthetic import config_of, make_table, model_of, write_export_of

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_names_of_devices(two_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [str(device_of(name)) for name in ("cpu", "cuda", "cuda:0", "cuda:1")]
    assert found == ["cpu", "cuda:0", "cuda:0", "cuda:1"]
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert str(device_of("cuda")) == str(default_device()) == "cuda:1"
    assert str(device_of("cuda:0")) == "cuda:0"
    with pytest.raises(ModelError, match="cuda:2 is not here: torch finds 2 GPU"):
        device_of("cuda:2")
    for name in ("gpu", "cuda:", "cuda:x", "cpu:0", ""):
        with pytest.raises(UsageError, match="use cpu, cuda or cuda:n"):
            device_of(name)


def test_a_machine_without_a_gpu_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert default_device() == CPU
    with pytest.raises(ModelError, match="device cuda is not here: torch finds no NVIDIA GPU"):
        device_of("cuda")


def test_devices_of_kinds(two_gpus: None) -> None:
    asked = [("torchscript", None), ("aot", None), ("aot", "cuda:1"), ("aot-unified", "cuda"), ("trt", None)]
    assert [str(device_for(*each)) for each in asked] == ["cpu", "cpu", "cuda:1", "cuda:0", "cuda:0"]
    with pytest.raises(UsageError, match=r"kind torchscript is for cpu, not for cuda(.|\n)*aot, aot-unified, trt"):
        device_for("torchscript", "cuda")
    with pytest.raises(UsageError, match="kind trt is for cuda, not for cpu"):
        device_for("trt", "cpu")
    with pytest.raises(UsageError, match="kind auto is for cpu"):
        device_for("auto", "cuda")


@pytest.mark.parametrize("name", DEVICES)
def test_each_thread_gets_its_scores(name: str) -> None:
    place = Place(device_of(name))
    wrong: list[int] = []

    def work(number: int) -> None:
        for turn in range(50):
            given = {"x": torch.full((100 + turn,), float(number)), "y": torch.arange(100 + turn)}
            found = place.run(given, lambda moved: {"sum": moved["x"] + moved["y"]})["sum"]
            if found.device != CPU or not torch.equal(found, torch.arange(100 + turn) + float(number)):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("name", DEVICES)
def test_an_eager_model_scores_there(name: str) -> None:
    table = make_table(300, 4)
    wanted, scorer = eager_on("cpu").score(table), eager_on(name)
    assert {each.device.type for each in scorer._model.parameters()} == {name}
    for column in wanted.column_names:
        found, expected = (np.array(each[column], np.float64) for each in (scorer.score(table), wanted))
        np.testing.assert_allclose(found, expected, atol=1e-5)


def eager_on(name: str) -> ModelScorer:
    config = config_of("multi_tower_din")
    return ModelScorer(*model_of(config), "", config.data_config, device_of(name))


@pytest.mark.parametrize("name", DEVICES)
def test_a_table_is_predicted(name: str, table: pa.Table, run: Callable[..., Any]) -> None:
    summary, out = run("scores", model=eager_on(name))
    assert summary.rows_out == table.num_rows
    wanted = np.array(eager_on("cpu").score(table)["probs"])
    np.testing.assert_allclose(np.array(read_parts(out)["probs"]), wanted, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["aot", "aot-unified"])
def test_a_table_is_predicted_with_an_export(
    kind: str, table: pa.Table, tmp_path: Path, run: Callable[..., Any]
) -> None:
    options = CompileOptions(device=device_of("cuda"))
    folder = write_export_of("multi_tower_din", tmp_path / "export", kind=kind, compile_options=options)
    _, out = run("scores", model=load_scorer(folder, device="cuda"))
    wanted = np.array(eager_on("cpu").score(table)["probs"])
    np.testing.assert_allclose(np.array(read_parts(out)["probs"]), wanted, atol=1e-5)
    with pytest.raises(ModelError, match="device: it asks for cuda, here is --device cpu"):
        load_scorer(folder, device="cpu")


def test_an_export_is_refused_on_a_device_that_it_is_not_for(exported: Callable[[str], Path]) -> None:
    with pytest.raises(ModelError, match="device: it asks for cpu, here is --device cuda\n  hint: leave --device out"):
        open_export(exported("multi_tower"), lambda path: "", device=torch.device("cuda", 0))
    assert load_scorer(exported("multi_tower"), device="cpu").place.device == CPU
    hint = refuse("export", "aot", [], ["jit"]).hint
    assert hint is not None and hint.startswith("--fallback jit")


@pytest.fixture
def no_tf32() -> Iterator[None]:
    places = (torch.backends.cudnn, torch.backends.cuda.matmul)
    held = [place.allow_tf32 for place in places]
    for place in places:
        place.allow_tf32 = False
    yield
    for place, was in zip(places, held, strict=True):
        place.allow_tf32 = was


def test_tf32_is_as_the_export_was_made(tmp_path: Path, no_tf32: None) -> None:
    write_gpu_settings(tmp_path, CompileOptions(matmul_tf32=True))
    assert not (tmp_path / "gpu.json").exists()
    write_gpu_settings(tmp_path, CompileOptions(cudnn_tf32=False, matmul_tf32=True, device=torch.device("cuda", 0)))
    allow_tf32(tmp_path)
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == (False, True)
    (tmp_path / device.GPU_SETTINGS).write_text("[]")
    with pytest.raises(ModelError, match="is damaged"):
        allow_tf32(tmp_path)


def features() -> list[Feature]:
    return model_of(config_of("multi_tower_din"))[1]


@pytest.mark.parametrize(("name", "last"), [("user_id", 49), ("history__genres", 17)])
def test_ids_are_held_against_their_tables(name: str, last: int) -> None:
    read = features()
    batch = ragged_batch(read, 6, longest=4, seed=2)
    refuse_outside(batch, read)
    batch[f"{name}.values"][0] = last
    refuse_outside(batch, read)
    for outside in (last + 1, -1):
        batch[f"{name}.values"][0] = outside
        with pytest.raises(ModelError, match=f"'{name}' is outside its table, whose rows are 0 to {last}"):
            refuse_outside(batch, read)
    refuse_outside(ragged_batch(read, 3, longest=0, seed=1) | {f"{name}.values": torch.zeros(0).long()}, read)
