"""Checkpoints that were made to harm: every path that reads one refuses it, and nothing of it runs."""

from __future__ import annotations

import io
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from google.protobuf import text_format
from torch.distributed.checkpoint import FileSystemReader
from torch.distributed.checkpoint.metadata import _MEM_FORMAT_ENCODING, Metadata, MetadataIndex, TensorProperties

import recinfer
from recinfer.config.save import save_pipeline_config
from recinfer.errors import ModelError
from recinfer.protos.pipeline_pb2 import EasyRecConfig
from recinfer.train.checkpoint import checkpoints
from recinfer.train.checkpoint_storage import read_all, read_index
from recinfer.train.metadata_unpickler import read_metadata

from .conftest import DIN, make_table


class Gets:
    """Gets an attribute when unpickled."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, self.arguments


class Opens:
    """Creates a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rows, and a model folder with one checkpoint and its config."""
    folder = tmp_path_factory.mktemp("trained")
    pq.write_table(make_table(96, 1), folder / "rows.parquet")
    config = text_format.Parse(DIN.replace("num_epochs: 2", "num_steps: 2"), EasyRecConfig())
    config.train_input_path = config.eval_input_path = str(folder / "rows.parquet")
    config.model_dir = str(folder / "model")
    config.export_config.exporter_type = "latest"
    save_pipeline_config(config, folder / "pipeline.config")
    recinfer.train_and_evaluate(folder / "pipeline.config")
    return folder


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Path:
    """A copy of :func:`trained` that may be spoilt."""
    shutil.copytree(trained, tmp_path / "home")
    return tmp_path / "home"


def in_index(part: str) -> Callable[[Path, Path], None]:
    def spoil(checkpoint: Path, ran: Path) -> None:
        (checkpoint / part / ".metadata").write_bytes(pickle.dumps(Opens(ran)))

    return spoil


def in_planner_data(checkpoint: Path, ran: Path) -> None:
    """An index that is right but for what a planner left in it."""
    index = FileSystemReader(checkpoint / "model").read_metadata()
    index.planner_data = {"model": Opens(ran)}
    (checkpoint / "model" / ".metadata").write_bytes(pickle.dumps(index))


def in_tensor(checkpoint: Path, ran: Path) -> None:
    """The bytes of the first tensor are another pickle; the index points to it."""
    stream = io.BytesIO()
    torch.save(Opens(ran), stream)
    replace_first(checkpoint / "model", stream.getvalue())


def in_raw_pickle(checkpoint: Path, ran: Path) -> None:
    replace_first(checkpoint / "model", pickle.dumps(Opens(ran)))


def replace_first(folder: Path, content: bytes) -> None:
    index = FileSystemReader(folder).read_metadata()
    info = next(iter(index.storage_data.values()))
    (folder / "other.distcp").write_bytes(content)
    info.relative_path, info.offset, info.length = "other.distcp", 0, len(content)
    (folder / ".metadata").write_bytes(pickle.dumps(index))


def predict(home: Path, checkpoint: Path) -> None:
    recinfer.predict(checkpoint, str(home / "rows.parquet"), home / "out")


def score(home: Path, checkpoint: Path) -> None:
    recinfer.load_scorer(home / "pipeline.config", checkpoint)


def evaluate(home: Path, checkpoint: Path) -> None:
    recinfer.evaluate(home / "pipeline.config", checkpoint_path=checkpoint, eval_result_path=home / "r.json")


def export(home: Path, checkpoint: Path) -> None:
    recinfer.export(home / "pipeline.config", home / "export", checkpoint_path=checkpoint)


def resume(home: Path, checkpoint: Path) -> None:
    """Goes on from the latest; where that is refused, training has nothing to go on from."""
    if not checkpoints(checkpoint.parent):
        raise ModelError("there is none")
    recinfer.train_and_evaluate(
        home / "pipeline.config", model_dir=checkpoint.parent, overrides=["train_config.num_steps=3"]
    )


def fine_tune(home: Path, checkpoint: Path) -> None:
    edits = [f"train_config.fine_tune_checkpoint={checkpoint}"]
    recinfer.train_and_evaluate(home / "pipeline.config", model_dir=home / "tuned", overrides=edits)


def take_over(home: Path, checkpoint: Path) -> None:
    recinfer.import_checkpoint(checkpoint, home / "imported", home / "pipeline.config")


SPOILT = {
    "index": in_index("model"),
    "optimizer index": in_index("optimizer"),
    "planner data": in_planner_data,
    "tensor": in_tensor,
    "raw pickle": in_raw_pickle,
}
PATHS = [predict, score, evaluate, export, resume, fine_tune, take_over]


@pytest.mark.parametrize("spoilt", SPOILT)
def test_every_path_refuses_and_runs_nothing(home: Path, tmp_path: Path, spoilt: str) -> None:
    checkpoint, ran = home / "model" / "model.ckpt-2", tmp_path / "ran"
    (home / "model" / "pipeline.config").unlink(missing_ok=True)
    shutil.copy(home / "pipeline.config", home / "model" / "pipeline.config")
    SPOILT[spoilt](checkpoint, ran)
    for path in PATHS:
        with pytest.raises(ModelError):
            path(home, checkpoint)
        assert not ran.exists(), path.__name__
    assert not (home / "imported").exists() or not list((home / "imported").iterdir())
    # It is hostile indeed: torch's own reader runs it.
    spoilt_index = (checkpoint / ("optimizer" if "optimizer" in spoilt else "model") / ".metadata").read_bytes()
    if spoilt in ("tensor", "raw pickle"):
        other = checkpoint / "model" / "other.distcp"
        found = torch.load(other, weights_only=False) if spoilt == "tensor" else pickle.loads(other.read_bytes())
    else:
        found = pickle.loads(spoilt_index)
        found = found.planner_data["model"] if isinstance(found, Metadata) else found
    found.close()
    assert ran.exists()


def test_the_paths_work_where_nothing_is_spoilt(home: Path) -> None:
    checkpoint = home / "model" / "model.ckpt-2"
    for path in PATHS:
        path(home, checkpoint)


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


@pytest.mark.parametrize(
    ("module", "name", "real"),
    [
        ("pathlib", "PurePosixPath", PurePath),
        ("pathlib", "PosixPath", PurePosixPath),
        ("torch.distributed.checkpoint.metadata", "Metadata", Metadata),
        ("torch.distributed.checkpoint.metadata", "TensorProperties", TensorProperties),
        ("torch.distributed.checkpoint.metadata", "MetadataIndex", MetadataIndex),
        ("torch", "Size", torch.Size),
        ("torch", "float32", torch.float32),
        ("torch.serialization", "_get_layout", torch.serialization._get_layout),
        ("collections", "OrderedDict", dict),
    ],
)
def test_no_class_is_changed(module: str, name: str, real: Any) -> None:
    """A pickle may set attributes of what it names: on real classes that would last as long as the process."""
    change = b"\x80\x04" + text(module) + text(name) + b"\x93N}" + text("poisoned") + b"K\x01s\x86b."
    with pytest.raises(ModelError, match="is not a checkpoint index"):
        read_metadata(io.BytesIO(change), "x")
    assert not hasattr(real, "poisoned")


def write_index(folder: Path, change: Callable[[Metadata], None]) -> None:
    index = FileSystemReader(folder).read_metadata()
    change(index)
    (folder / ".metadata").write_bytes(pickle.dumps(index))


def first(index: Metadata) -> Any:
    return next(entry for entry in index.state_dict_metadata.values() if len(entry.size) == 2)  # type: ignore[union-attr]


def no_part(index: Metadata) -> None:
    first(index).chunks.clear()


def no_place(index: Metadata) -> None:
    index.storage_data.pop(next(iter(index.storage_data)))


def larger(index: Metadata) -> None:
    first(index).size = torch.Size([1 << 40, 1 << 20])


def outside(index: Metadata) -> None:
    first(index).chunks[0].offsets = torch.Size([1 << 40, 0])


def negative(index: Metadata) -> None:
    next(iter(index.storage_data.values())).offset = -8


def elsewhere(index: Metadata) -> None:
    next(iter(index.storage_data.values())).relative_path = "C:\\other"


def number(index: Metadata) -> None:
    next(iter(index.storage_data.values())).relative_path = 7


def nothing(index: Metadata) -> None:
    index.storage_data = None


def untyped(index: Metadata) -> None:
    first(index).properties = "float32"


@pytest.mark.parametrize(
    "change",
    [no_part, no_place, larger, outside, negative, elsewhere, number, nothing, untyped],
    ids=lambda f: f.__name__,
)
def test_an_index_that_cannot_be_is_refused(home: Path, change: Callable[[Metadata], None]) -> None:
    folder = home / "model" / "model.ckpt-2" / "model"
    write_index(folder, lambda index: None)
    whole = read_all(folder)
    write_index(folder, change)
    with pytest.raises(ModelError, match="is not a checkpoint index"):
        read_index(folder)
    assert whole and checkpoints(home / "model") == []


@pytest.mark.parametrize(
    "arguments",
    [
        (torch.Size, "numel"),
        (_MEM_FORMAT_ENCODING.TORCH_CONTIGUOUS_FORMAT, "value"),
        (TensorProperties, "__init__"),
        ({}, "clear"),
    ],
)
def test_no_attribute_is_got_of_anything(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ModelError, match=r"(names|no checkpoint needs)"):
        read_metadata(io.BytesIO(pickle.dumps(Gets(*arguments))), "index")


def test_members_of_enumerations_are_read_as_early_versions_of_python_3_11_write_them(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = FileSystemReader(trained / "model" / "model.ckpt-2" / "model").read_metadata()
    as_now = pickle.dumps(index)
    monkeypatch.setattr(
        _MEM_FORMAT_ENCODING, "__reduce_ex__", lambda member, protocol: (getattr, (type(member), member.name))
    )
    as_then = pickle.dumps(index)
    assert b"getattr" in as_then
    now, then = (read_metadata(io.BytesIO(each), "index") for each in (as_now, as_then))
    assert then.state_dict_metadata == now.state_dict_metadata and then.storage_data == now.storage_data
