"""Training and evaluation on a GPU, held against the same on a processor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from google.protobuf import text_format

from recinfer.protos.pipeline_pb2 import EasyRecConfig
from recinfer.train.batches import BatchSource, evaluation_options
from recinfer.train.checkpoint import load
from recinfer.train.checkpoint_storage import read_all
from recinfer.train.evaluator import evaluate
from recinfer.train.metrics import grouping_columns
from recinfer.train.optimizer_kinds import TABLES_ON_GPU
from recinfer.train.reports import TrainReport
from recinfer.train.trainer import train
from tests.train.conftest import DIN, new_model, source

GPU = torch.device("cuda", 0)
ZERO_COLLISION = "zch { zch_size: 16 eviction_interval: 3 lfu {} }"

pytestmark = pytest.mark.gpu


def config_of(text: str = "", tables: str = "num_buckets: 30") -> Any:
    """The DIN of these tests without dropout, whose draws differ between devices, with text merged into it."""
    config = text_format.Parse(
        DIN.replace("dropout_ratio: 0.1", "").replace("num_buckets: 30", tables), EasyRecConfig()
    )
    text_format.Merge(text, config)
    return config


def run(config: Any, data: Path, folder: Path, device: torch.device) -> tuple[TrainReport, list[float]]:
    losses: list[float] = []
    report = train(
        config,
        new_model(config),
        source(config, data / "train.parquet"),
        model_dir=folder,
        device=device,
        on_step=lambda result: losses.append(float(result.loss)),
    )
    return report, losses


def evaluated(config: Any, data: Path, folder: Path, device: torch.device) -> dict[str, float]:
    model = new_model(config, seed=99)
    load(model, folder)
    made = source(config, data / "eval.parquet")
    options = evaluation_options(config.data_config, grouping_columns(model.tasks))
    rows = BatchSource(made.reader, made.parser, options)
    return evaluate(model.to(device), model.tasks, rows, eval_config=config.eval_config, device=device)


@pytest.mark.parametrize("tables", ["num_buckets: 30", ZERO_COLLISION], ids=["plain", "zero-collision"])
def test_a_gpu_learns_what_a_processor_learns(tables: str, data: Path, tmp_path: Path) -> None:
    config = config_of("train_config { num_epochs: 3 }", tables)
    # Adam divides a gradient by its size. That of a bias before a softmax is 0 but for rounding, which differs between
    # devices: noise of 1e-9 moves parameters by 0.1 in these steps, on one processor too.
    config.train_config.dense_optimizer.sgd_optimizer.lr = 0.3
    wanted, wanted_losses = run(config, data, tmp_path / "cpu", torch.device("cpu"))
    found, losses = run(config, data, tmp_path / "gpu", GPU)
    assert (found.step, found.rows) == (wanted.step, wanted.rows)
    assert losses == pytest.approx(wanted_losses, rel=1e-4)
    left, right = (read_all(report.checkpoint / "model") for report in (wanted, found))
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        if isinstance(tensor, torch.Tensor):
            torch.testing.assert_close(
                right[name], tensor, rtol=1e-3, atol=1e-4, msg=lambda said, name=name: name + said
            )
    assert evaluated(config, data, tmp_path / "gpu", GPU) == pytest.approx(
        evaluated(config, data, tmp_path / "gpu", torch.device("cpu")), abs=1e-5
    )


@pytest.mark.parametrize("kind", TABLES_ON_GPU)
def test_tables_learn_with_each_optimizer_of_a_gpu(kind: str, data: Path, tmp_path: Path) -> None:
    config = config_of("train_config { num_epochs: 6 }")
    config.train_config.sparse_optimizer.ClearField("adagrad_optimizer")
    getattr(config.train_config.sparse_optimizer, kind).lr = 0.02
    report, losses = run(config, data, tmp_path, GPU)
    assert sum(losses[-7:]) < sum(losses[:7])
    # What it learnt is in the checkpoint, and training goes on from there.
    assert evaluated(config, data, tmp_path, GPU)["auc"] > 0.55
    config.train_config.num_epochs = 7
    again, _ = run(config, data, tmp_path, GPU)
    assert again.step == report.step + 7


@pytest.fixture
def tf32_comes_back() -> Iterator[None]:
    places = (torch.backends.cudnn, torch.backends.cuda.matmul)
    held = [place.allow_tf32 for place in places]
    yield
    for place, was in zip(places, held, strict=True):
        place.allow_tf32 = was


@pytest.mark.parametrize(
    "precision", ['mixed_precision: "BF16"', 'mixed_precision: "FP16" grad_scaler {}', "cuda_matmul_allow_tf32: true"]
)
def test_a_gpu_learns_in_lower_precision(precision: str, data: Path, tmp_path: Path, tf32_comes_back: None) -> None:
    _, wanted = run(config_of("train_config { num_epochs: 3 }"), data, tmp_path / "cpu", torch.device("cpu"))
    _, losses = run(config_of(f"train_config {{ num_epochs: 3 {precision} }}"), data, tmp_path / "gpu", GPU)
    assert losses == pytest.approx(wanted, abs=0.05)
