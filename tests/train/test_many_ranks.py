"""Checkpoints of 1, 2 and 4 ranks load on 1, 2 and 4: parameters bit for bit, optimizers so that training goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

import recinfer
from recinfer.config.save import save_pipeline_config
from recinfer.distributed.process_group import process_group
from recinfer.distributed.shards import local_parts
from recinfer.env import Environment
from recinfer.train.checkpoint import Position, latest, load, load_training, save
from recinfer.train.learner import Learner
from recinfer.train.optimizer_state import optimizer_state
from recinfer.train.settings import read_settings

from .conftest import new_model
from .many_ranks import LAYOUTS, OPTIMIZERS, STEPS, config_of, loss_of, parsed, rows_of

ROOT = Path(__file__).parents[2]
NAMES = list(LAYOUTS)
State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def group() -> Iterator[dist.ProcessGroup]:
    with process_group(Environment()) as found:
        yield found


def learner_of(config: Any, group: dist.ProcessGroup, seed: int) -> Learner:
    settings = read_settings(config.train_config)
    return Learner(new_model(config, seed), config.train_config, settings, group, torch.device("cpu"))


def step(learner: Learner, config: Any, number: int) -> None:
    learner.set_rates(number, 0)
    features, labels = parsed(config, rows_of(number))
    learner.module.train()
    learner.backward(loss_of(learner.predict(features), labels))


def whole(learner: Learner) -> State:
    state = learner.module.state_dict() | optimizer_state(learner.dense, learner.tables.fused)
    return {name: local_parts(value)[0][1].clone() for name, value in state.items()}


@pytest.fixture(scope="module")
def made(group: dist.ProcessGroup, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that many_ranks fills."""
    out = tmp_path_factory.mktemp("ranks")
    for optimizer in OPTIMIZERS:
        config, folder = config_of(optimizer), out / f"one-{optimizer}"
        learner = learner_of(config, group, 7)
        for number in range(STEPS):
            step(learner, config, number)
        save(learner.state, Position(STEPS), folder)
        torch.save(whole(learner), folder / "at.pt")
        step(learner, config, STEPS)
        torch.save(whole(learner), folder / "after.pt")
    command = [sys.executable, "-W", "ignore", "-m", "tests.train.many_ranks", str(out)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    return out


def read(path: Path) -> Any:
    return torch.load(path, weights_only=True)


def learned(state: State) -> State:
    """Without what learns from rounding: softmax takes no notice of this bias, whose gradient is 0 but for that."""
    return {name: tensor for name, tensor in state.items() if "din_towers.0.linear.bias" not in name}


def parameters(state: State) -> State:
    return {name: tensor for name, tensor in state.items() if not name.startswith("state.")}


def as_one_table(state: State, one: State) -> State:
    """Numbers that each column part kept for a row, as their mean: parts of these tests are equally wide."""
    return {
        name: value.reshape(-1, len(one[name])).mean(0) if value.shape != one[name].shape else value
        for name, value in state.items()
    }


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", NAMES)
def test_many_ranks_to_a_plain_model(made: Path, tmp_path: Path, name: str, optimizer: str) -> None:
    folder, config = made / f"{name}-{optimizer}", config_of(optimizer)
    assert latest(folder) == folder / "model.ckpt-3"
    parts = {path.name for path in (folder / "model.ckpt-3" / "model").glob("*.distcp")}
    assert len(parts) == LAYOUTS[name].ranks, "each rank wrote a part"
    model = new_model(config, 9)
    load(model, folder)
    at = parameters(read(folder / "at.pt"))
    found = {f"model.{key}": tensor for key, tensor in model.state_dict().items()}
    torch.testing.assert_close(found, at, rtol=0, atol=0)
    save_pipeline_config(config, tmp_path / "pipeline.config")
    scored = recinfer.load_scorer(tmp_path / "pipeline.config", folder).score(rows_of(50))
    torch.testing.assert_close(torch.tensor(scored["probs"].to_pylist()), read(folder / "probs.pt"), rtol=0, atol=1e-6)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", NAMES)
def test_one_process_goes_on(made: Path, group: dist.ProcessGroup, name: str, optimizer: str) -> None:
    folder, config = made / f"{name}-{optimizer}", config_of(optimizer)
    learner = learner_of(config, group, 9)
    fresh = whole(learner)
    assert load_training(learner.state, folder / "model.ckpt-3") == Position(3)
    at, found = read(folder / "at.pt"), whole(learner)
    assert any("momentum1" in key for key in found) and any(key.endswith("exp_avg_sq") for key in found)
    assert all(not torch.equal(fresh[key], found[key]) for key in fresh if "momentum1" in key)
    torch.testing.assert_close(found, as_one_table(at, found), rtol=1e-6, atol=0)
    if "columns" in name and "rowwise" in optimizer:
        return  # From here on one table learns otherwise than its column parts: they have rates of their own.
    step(learner, config, STEPS)
    torch.testing.assert_close(learned(whole(learner)), learned(read(folder / "after.pt")), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("name", "other"), [pair for pair in product(NAMES, [*NAMES, "one"]) if len({*pair}) == 2])
def test_many_ranks_go_on_from_others(made: Path, name: str, other: str, optimizer: str) -> None:
    folder, source = made / f"{name}-{optimizer}", made / f"{other}-{optimizer}"
    found, at = read(folder / f"from-{other}.pt"), read(source / "at.pt")
    columns = "rowwise" in optimizer and any("columns" in each for each in (name, other))
    if not columns:
        torch.testing.assert_close(found["at"], at, rtol=0, atol=0)
        after = learned(read(source / "after.pt"))
        torch.testing.assert_close(learned(found["after"]), after, rtol=1e-4, atol=1e-6)
        return
    torch.testing.assert_close(parameters(found["at"]), parameters(at), rtol=0, atol=0)
    one = read(made / f"one-{optimizer}" / "at.pt")
    torch.testing.assert_close(as_one_table(found["at"], one), as_one_table(at, one), rtol=1e-6, atol=0)
