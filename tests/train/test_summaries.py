"""TensorBoard shows the parameters that checkpoints hold, and the gradients that explain how they came about."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from recinfer.train.checkpoint import checkpoints, load
from recinfer.train.parameter_summaries import add_histogram
from recinfer.train.trainer import train

from .conftest import new_model, source

RATE = 0.5
EVERYTHING = ["parameter", "global_gradient_norm", "gradient_norm", "gradient"]


def trained(config: Any, data: Path, folder: Path) -> tuple[Any, list[dict[str, torch.Tensor]]]:
    """The events of a training, and its parameters after each step, the first of all included."""
    model = new_model(config, 3)
    first = {f"model.{name}": value.clone() for name, value in model.state_dict().items()}
    train(config, model, source(config, data / "train.parquet"), model_dir=folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(folder), {"histograms": 0})
        events.Reload()
    return events, [first, *(stored(config, path) for path in checkpoints(folder))]


def stored(config: Any, checkpoint: Path) -> dict[str, torch.Tensor]:
    model = new_model(config)
    load(model, checkpoint)
    return {f"model.{name}": value for name, value in model.state_dict().items()}


def dense_names(config: Any) -> list[str]:
    return [f"model.{name}" for name, _ in new_model(config).named_parameters() if "embedding_group" not in name]


def wanted(names: list[str], more: str = "") -> str:
    summaries = " ".join(f'tensorboard_summaries: "{name}"' for name in names)
    return f"""train_config {{
      num_epochs: 0 num_steps: 3 save_checkpoints_steps: 1 use_tensorboard: true log_step_count_steps: 1 {summaries}
      dense_optimizer {{ sgd_optimizer {{ lr: {RATE} momentum: 0 }} }} {more}
    }}"""


@pytest.mark.parametrize("clipping", ["", 'grad_clipping { clipping_type: "norm" max_gradient: 0.01 }'])
def test_gradients_are_what_moved_the_parameters(
    edit: Callable[[str], Any], data: Path, tmp_path: Path, clipping: str
) -> None:
    config = edit(wanted(EVERYTHING, clipping))
    events, states = trained(config, data, tmp_path)
    dense = dense_names(config)
    assert len(states) == 4 and len(dense) > 6
    for step in (1, 2, 3):
        moved = {name: (states[step - 1][name] - states[step][name]) / RATE for name in dense}
        for name, gradient in moved.items():
            shown = {event.step: event.value for event in events.Scalars(f"{name}/gradient_norm")}
            assert shown[step] == pytest.approx(float(gradient.norm()), rel=1e-3, abs=1e-5)
            bars = {event.step: event.histogram_value for event in events.Histograms(f"{name}/gradient")}[step]
            assert bars.num == gradient.numel()
            assert bars.max == pytest.approx(float(gradient.max()), rel=1e-2, abs=1e-5)
        total = {event.step: event.value for event in events.Scalars("global_gradient_norm")}[step]
        assert total == pytest.approx(float(torch.cat([each.flatten() for each in moved.values()]).norm()), rel=1e-3)
        assert not clipping or total == pytest.approx(0.01, rel=1e-3)


def test_parameters_are_those_of_the_checkpoint(edit: Callable[[str], Any], data: Path, tmp_path: Path) -> None:
    events, states = trained(edit(wanted(["parameter"])), data, tmp_path)
    names = [name for name in states[0] if states[0][name].is_floating_point()]
    assert any("embedding_bags" in name for name in names)
    for name in names:
        for event in events.Histograms(name):
            value = states[event.step][name]
            assert event.histogram_value.num == value.numel()
            assert event.histogram_value.sum == pytest.approx(float(value.double().sum()), rel=1e-4, abs=1e-4)
    assert "global_gradient_norm" not in events.Tags()["scalars"]
    # As in TorchEasyRec, these come without being asked for.
    assert {"loss/total", "lr/dense"} <= set(events.Tags()["scalars"])


def test_accumulated_gradients_are_shown_once_they_are_whole(
    edit: Callable[[str], Any], data: Path, tmp_path: Path
) -> None:
    more = "gradient_accumulation_steps: 3"
    config = edit(wanted(["global_gradient_norm"], more).replace("save_checkpoints_steps: 1 ", ""))
    events, (first, last) = trained(config, data, tmp_path)
    (event,) = events.Scalars("global_gradient_norm")
    moved = torch.cat([(first[name] - last[name]).flatten() / RATE for name in dense_names(config)])
    assert (event.step, event.value) == (3, pytest.approx(float(moved.norm()), rel=1e-3))


class Writer:
    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def add_histogram(self, tag: str, values: torch.Tensor, step: int) -> None:
        self.seen.append(values)


def test_numbers_that_tensorboard_refuses_are_left_out() -> None:
    writer = Writer()
    for values in ([1.0, float("nan")], [float("inf")], []):
        add_histogram(writer, "gradient", torch.tensor(values, dtype=torch.bfloat16), 1)
    assert [each.tolist() for each in writer.seen] == [[1.0]]
