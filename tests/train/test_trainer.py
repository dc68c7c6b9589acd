"""Whole trainings: learning, resuming, fine-tuning, precision, accumulation, averages, failures."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from recinfer.distributed.process_group import process_group
from recinfer.env import Environment
from recinfer.errors import ConfigError, InputError, ModelError, OutputError, StageError, UsageError
from recinfer.train.batches import BatchSource, evaluation_options
from recinfer.train.checkpoint import checkpoints, load, read_position
from recinfer.train.checkpoint_storage import read_tensors
from recinfer.train.evaluator import evaluate
from recinfer.train.metrics import grouping_columns
from recinfer.train.moving_average import UPDATES, MovingAverage
from recinfer.train.reports import StepResult, TrainReport
from recinfer.train.trainer import train

from .conftest import new_model, source


def evaluation_source(config: Any, data: Path) -> BatchSource:
    made = source(config, data / "eval.parquet")
    options = evaluation_options(config.data_config, grouping_columns(new_model(config).tasks))
    return BatchSource(made.reader, made.parser, options)


def run(
    config: Any, data: Path, folder: Path, evaluated: bool = False, **options: Any
) -> tuple[TrainReport, list[float]]:
    """A training from scratch, or from the folder's checkpoints, and the loss of each step."""
    losses: list[float] = []

    def note(result: StepResult) -> None:
        losses.append(float(result.loss))

    report = train(
        config,
        new_model(config, options.pop("model_seed", 3)),
        source(config, data / "train.parquet"),
        evaluation_source(config, data) if evaluated else None,
        model_dir=folder,
        on_step=note,
        **options,
    )
    return report, losses


def test_learns_and_reports(edit: Callable[[str], Any], data: Path, tmp_path: Path) -> None:
    config = edit("train_config { num_epochs: 12 }")
    report, losses = run(config, data, tmp_path, evaluated=True)
    assert (report.step, report.epoch, report.rows) == (84, 12, 12 * 210)
    assert sum(losses[-7:]) < 0.6 * sum(losses[:7])
    assert report.metrics["auc"] > 0.8
    assert report.metrics["grouped_auc"] > 0.8
    assert report.loss == losses[-1]
    assert json.loads((tmp_path / "train_eval_result.json").read_text()) == {"global_step": 84, **report.metrics}
    fresh = new_model(config, seed=99)
    assert load(fresh, tmp_path) == report.checkpoint
    again = evaluate(fresh, fresh.tasks, evaluation_source(config, data), eval_config=config.eval_config)
    assert again == pytest.approx(report.metrics, abs=1e-6)


def test_names_are_the_plain_models(config: Any, data: Path, tmp_path: Path) -> None:
    report, _ = run(config, data, tmp_path)
    from recinfer.train.checkpoint_storage import read_index

    stored = read_index(report.checkpoint / "model").state_dict_metadata
    plain = new_model(config).state_dict()
    assert {name: tuple(entry.size) for name, entry in stored.items()} == {  # type: ignore[union-attr]
        f"model.{name}": tuple(tensor.shape) for name, tensor in plain.items()
    }
    names = set(read_index(report.checkpoint / "optimizer").state_dict_metadata)
    assert (
        "state.model.embedding_group.emb_impls.__BASE__.ebc.embedding_bags.user_emb.weight.user_emb.momentum1" in names
    )
    assert "state.model.output_mlp.weight.exp_avg" in names
    plan = json.loads((report.checkpoint / "plan").read_text())
    assert plan["model.embedding_group.emb_impls.__BASE__.ebc"]["user_emb"]["sharding_type"] == "table_wise"


@pytest.mark.parametrize("stop", [5, 7, 10])
@pytest.mark.parametrize(
    "extra", ["", "gradient_accumulation_steps: 2", 'dense_optimizer { ema { decay: 0.5 } } mixed_precision: "BF16"']
)
def test_resumed_equals_uninterrupted(config: Any, data: Path, tmp_path: Path, stop: int, extra: str) -> None:
    from google.protobuf import text_format

    text_format.Merge(f"train_config {{ save_checkpoints_steps: {stop} {extra} }}", config)
    _, whole = run(config, data, tmp_path / "whole")
    short = type(config)()
    short.CopyFrom(config)
    short.train_config.num_steps = stop
    first, losses = run(short, data, tmp_path / "cut")
    assert first.step == stop
    second, rest = run(config, data, tmp_path / "cut", model_seed=77)
    assert second.resumed_from == first.checkpoint
    assert losses + rest == whole
    ours, theirs = new_model(config), new_model(config)
    load(ours, tmp_path / "cut")
    load(theirs, tmp_path / "whole")
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=0)
    if "ema" in extra:
        load(ours, tmp_path / "cut", use_ema=True)
        load(theirs, tmp_path / "whole", use_ema=True)
        torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=0)


def test_nothing_left_to_do(config: Any, data: Path, tmp_path: Path) -> None:
    first, _ = run(config, data, tmp_path)
    again, losses = run(config, data, tmp_path, evaluated=True)
    assert (losses, again.rows, again.loss, again.checkpoint) == ([], 0, None, first.checkpoint)
    assert again.metrics["auc"] > 0


def test_steps_repeat_the_data_and_checkpoints_are_kept_as_asked(
    edit: Callable[[str], Any], data: Path, tmp_path: Path
) -> None:
    config = edit("train_config { num_steps: 17 save_checkpoints_steps: 4 keep_checkpoint_max: 2 }")
    config.train_config.ClearField("num_epochs")
    report, losses = run(config, data, tmp_path)
    assert (report.step, report.epoch, len(losses)) == (17, 2, 17)
    assert [path.name for path in checkpoints(tmp_path)] == ["model.ckpt-16", "model.ckpt-17"]
    position = read_position(report.checkpoint)
    assert (position.step, position.epoch, position.batch) == (17, 2, 3)


def test_checkpoints_by_epoch(edit: Callable[[str], Any], data: Path, tmp_path: Path) -> None:
    run(edit("train_config { num_epochs: 5 save_checkpoints_epochs: 2 save_checkpoints_steps: 3 }"), data, tmp_path)
    assert [path.name for path in checkpoints(tmp_path)] == ["model.ckpt-14", "model.ckpt-28", "model.ckpt-35"]


def test_fine_tuning_starts_from_the_other_models_weights(
    edit: Callable[[str], Any], data: Path, tmp_path: Path
) -> None:
    config = edit("train_config { num_epochs: 6 }")
    _, losses = run(config, data, tmp_path / "first")
    config.train_config.fine_tune_checkpoint = str(tmp_path / "first")
    config.train_config.num_epochs = 1
    second, tuned = run(config, data, tmp_path / "second")
    assert (second.step, second.resumed_from) == (7, None)
    assert tuned[0] < 0.8 * losses[0]
    config.train_config.fine_tune_checkpoint = str(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="does not exist"):
        run(config, data, tmp_path / "third")


def test_other_optimizers_cannot_go_on(edit: Callable[[str], Any], data: Path, tmp_path: Path) -> None:
    config = edit("train_config { num_epochs: 1 }")
    run(config, data, tmp_path)
    config.train_config.num_epochs = 2
    config.train_config.sparse_optimizer.sgd_optimizer.lr = 0.1
    with pytest.raises(ModelError, match=r"of other optimizers.*\n.*fine_tune_checkpoint"):
        run(config, data, tmp_path)


def test_loss_that_is_no_number_stops(edit: Callable[[str], Any], data: Path, tmp_path: Path) -> None:
    config = edit("train_config { num_epochs: 20 dense_optimizer { sgd_optimizer { lr: 1e30 } } }")
    with pytest.raises(StageError, match=r"the loss is (nan|inf) in step \d+\n.*learning rate"):
        run(config, data, tmp_path)
    assert checkpoints(tmp_path) == []


def test_clipping_bounds_the_update(edit: Callable[[str], Any], data: Path, tmp_path: Path) -> None:
    config = edit(
        "train_config { num_steps: 1 dense_optimizer { sgd_optimizer { lr: 1.0 momentum: 0 } } "
        'grad_clipping { clipping_type: "NORM" max_gradient: 0.001 } }'
    )
    before = new_model(config).state_dict()
    run(config, data, tmp_path)
    after = new_model(config)
    load(after, tmp_path)
    moved = [
        (tensor - before[name]).square().sum()
        for name, tensor in after.state_dict().items()
        if "embedding_group" not in name
    ]
    assert math.sqrt(float(sum(moved))) == pytest.approx(0.001, rel=1e-3)


def test_accumulated_batches_make_one_dense_update(edit: Callable[[str], Any], data: Path, tmp_path: Path) -> None:
    """With tables at rest and SGD, two batches of 32 accumulated are one batch of 64."""
    settings = "sparse_optimizer { sgd_optimizer { lr: 0 } } dense_optimizer { sgd_optimizer { lr: 0.1 momentum: 0 } }"
    config = edit(
        f"train_config {{ {settings} num_steps: 2 gradient_accumulation_steps: 2 }} data_config {{ shuffle: false }}"
    )
    config.model_config.multi_tower_din.towers[0].mlp.dropout_ratio.pop()
    run(config, data, tmp_path / "two")
    config.train_config.num_steps, config.train_config.gradient_accumulation_steps = 1, 1
    config.data_config.batch_size = 64
    run(config, data, tmp_path / "one")
    two, one, start = new_model(config), new_model(config), new_model(config)
    load(two, tmp_path / "two")
    load(one, tmp_path / "one")
    torch.testing.assert_close(two.state_dict(), one.state_dict(), rtol=1e-5, atol=1e-6)
    assert not torch.equal(one.output_mlp.weight, start.output_mlp.weight)  # type: ignore[union-attr,arg-type]


def test_scaled_gradients_reach_tables_unscaled(edit: Callable[[str], Any], data: Path, tmp_path: Path) -> None:
    """Between FP16 with a scaler and without, tables of plain SGD differ by rounding alone, not by the scale."""
    settings = "sparse_optimizer { sgd_optimizer { lr: 0.5 } } num_steps: 3"
    config = edit(f'train_config {{ {settings} mixed_precision: "FP16" }}')
    run(config, data, tmp_path / "plain")
    config.train_config.grad_scaler.init_scale = 1024.0
    report, _ = run(config, data, tmp_path / "scaled")
    assert read_position(report.checkpoint).grad_scaler is not None
    plain, scaled, start = new_model(config), new_model(config), new_model(config)
    load(plain, tmp_path / "plain")
    load(scaled, tmp_path / "scaled")
    for name in (
        "emb_impls.__BASE__.ebc.embedding_bags.user_emb.weight",
        "seq_emb_impls.__BASE__.ec_dict.8.embeddings.item_emb.weight",
    ):
        key = f"embedding_group.{name}"
        moved = (plain.state_dict()[key] - start.state_dict()[key]).abs().max()
        assert moved > 1e-4
        assert (plain.state_dict()[key] - scaled.state_dict()[key]).abs().max() < 0.05 * moved


def test_a_scaler_without_half_precision_changes_nothing(
    edit: Callable[[str], Any], data: Path, tmp_path: Path
) -> None:
    config = edit("train_config { num_steps: 2 }")
    run(config, data, tmp_path / "plain")
    config.train_config.grad_scaler.init_scale = 1024.0
    run(config, data, tmp_path / "scaled")
    plain, scaled = new_model(config), new_model(config)
    load(plain, tmp_path / "plain")
    load(scaled, tmp_path / "scaled")
    torch.testing.assert_close(scaled.state_dict(), plain.state_dict(), rtol=1e-4, atol=1e-5)


def test_a_step_that_overflows_updates_nothing(edit: Callable[[str], Any], data: Path, tmp_path: Path) -> None:
    config = edit(
        'train_config { num_steps: 1 mixed_precision: "FP16" grad_scaler { init_scale: 3e38 } '
        "dense_optimizer { ema { decay: 0.5 } } }"
    )
    report, _ = run(config, data, tmp_path)
    position = read_position(report.checkpoint)
    assert position.grad_scaler is not None
    assert position.grad_scaler["scale"] == pytest.approx(1.5e38)
    averages = MovingAverage({}, 0.5).state_dict()
    read_tensors(report.checkpoint / "ema", averages)
    assert int(averages[UPDATES]) == 0
    stored, start = new_model(config), new_model(config)
    load(stored, report.checkpoint)
    torch.testing.assert_close(stored.state_dict(), start.state_dict(), rtol=0, atol=0)


def test_moving_average_follows_its_formula(edit: Callable[[str], Any], data: Path, tmp_path: Path) -> None:
    config = edit(
        "train_config { num_epochs: 2 save_checkpoints_steps: 1 dense_optimizer { ema { decay: 0.75 } } } "
        "eval_config { use_dense_ema: true }"
    )
    report, _ = run(config, data, tmp_path, evaluated=True)
    model = new_model(config)
    for path in checkpoints(tmp_path):
        load(model, path)
        if path == checkpoints(tmp_path)[0]:
            # The first update takes the parameters as they are.
            average = model.output_mlp.weight.detach().clone()  # type: ignore[union-attr,operator]
            continue
        average = 0.75 * average + 0.25 * model.output_mlp.weight.detach()  # type: ignore[union-attr,operator]
    load(model, tmp_path, use_ema=True)
    torch.testing.assert_close(model.output_mlp.weight.detach(), average)  # type: ignore[union-attr,operator]
    assert evaluate(model, model.tasks, evaluation_source(config, data)) == pytest.approx(report.metrics, abs=1e-6)


def test_tensorboard_and_trace(edit: Callable[[str], Any], data: Path, tmp_path: Path) -> None:
    config = edit("train_config { num_epochs: 3 use_tensorboard: true log_step_count_steps: 2 is_profiling: true }")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(config, data, tmp_path, evaluated=True)
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(tmp_path))
        events.Reload()
    assert {"loss/total", "lr/dense", "lr/sparse", "metric/eval/auc"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("loss/total")] == list(range(2, 22, 2))
    assert json.loads((tmp_path / "profile" / "trace.json").read_text())["traceEvents"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('mixed_precision: "FP8"', "FP8"),
        ('grad_clipping { clipping_type: "sometimes" }', "sometimes"),
        ('fine_tune_ckpt_param_map: "x"', "fine_tune_ckpt_param_map without"),
        ("grad_scaler { growth_factor: 1 }", r"grad_scaler\.growth_factor is 1"),
        ("grad_clipping { max_gradient: 0 }", r"grad_clipping\.max_gradient is 0"),
        ("dense_optimizer { ema { decay: 2 } }", r"ema\.decay is 2"),
        ("save_checkpoints_timestamps: 4", "save_checkpoints_timestamps counts the time of a stream's"),
        ('tensorboard_summaries: "gradients"', "'gradients' is unknown"),
        ("sparse_optimizer { adam_optimizer { lr: 0.1 } }", "on CPU"),
    ],
)
def test_unsupported_settings_are_config_errors(
    edit: Callable[[str], Any], data: Path, tmp_path: Path, text: str, named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        run(edit(f"train_config {{ {text} }}"), data, tmp_path)


def test_training_needs_an_end_and_rows(config: Any, data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no rows"):
        train(config, new_model(config), source(config, data / "train.parquet", drop_remainder=True, batch_size=999))
    config.train_config.ClearField("num_epochs")
    with pytest.raises(ConfigError, match="neither num_steps nor num_epochs"):
        run(config, data, tmp_path)


def test_model_folder_that_cannot_be_written(config: Any, data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"model_dir .*file/model cannot be written"):
        run(config, data, tmp_path / "file" / "model")
    config.model_dir = ""
    with pytest.raises(ConfigError, match="no model_dir"):
        train(config, new_model(config), source(config, data / "train.parquet"))


def test_a_process_group_of_another_size_is_refused(config: Any, data: Path, tmp_path: Path) -> None:
    with process_group(Environment()), pytest.raises(UsageError, match="has 1 ranks, but WORLD_SIZE is 2"):
        run(config, data, tmp_path, environment=Environment(world_size=2))
    assert not torch.distributed.is_initialized()
