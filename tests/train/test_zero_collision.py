"""Zero-collision tables in training: what changes, what a checkpoint keeps, and what a row starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from fbgemm_gpu.split_embedding_configs import EmbOptimType
from google.protobuf import text_format
from torch import nn

from recinfer.distributed.process_group import process_group
from recinfer.distributed.sharding import shard
from recinfer.distributed.shards import local_parts
from recinfer.env import Environment
from recinfer.errors import ModelError
from recinfer.features import build_features
from recinfer.nn.id_slots import IdSlots
from recinfer.nn.pooled_embeddings import PooledEmbeddings
from recinfer.protos.pipeline_pb2 import EasyRecConfig
from recinfer.train import checkpoint
from recinfer.train.checkpoint_storage import read_all, write_tensors
from recinfer.train.evaluator import evaluate
from recinfer.train.learner import Learner
from recinfer.train.optimizer_state import fused_state
from recinfer.train.reports import TrainReport
from recinfer.train.settings import read_settings
from recinfer.train.trainer import train
from tests.train.conftest import DIN, make_table, new_model, source

POLICIES = {
    "lfu": "lfu {}",
    "lru": "lru { decay_exponent: 1.5 }",
    "distance_lfu": 'distance_lfu { decay_exponent: 0.5 } threshold_filtering_func: "lambda x: (x > 1, 1)"',
}
FREE = torch.iinfo(torch.int64).max


def config_of(policy: str, steps: int) -> Any:
    """The DIN of these tests with zero-collision tables for users and, shared with sequences, for items."""
    text = DIN.replace("num_buckets: 20", f"zch {{ zch_size: 12 eviction_interval: 2 {POLICIES[policy]} }}")
    text = text.replace("num_buckets: 30", f"zch {{ zch_size: 16 eviction_interval: 3 {POLICIES[policy]} }}")
    return text_format.Parse(text.replace("num_epochs: 2", f"num_steps: {steps}"), EasyRecConfig())


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows whose ids lie all over int64, and of which some have no user."""
    folder = tmp_path_factory.mktemp("zch")
    for name, count, seed in (("train", 210, 1), ("eval", 150, 2)):
        table = make_table(count, seed)
        user = [None if each == 4 else each * (2**57 + 12345) for each in table["user"].to_pylist()]
        table = table.set_column(0, "user", pa.array(user))
        table = table.set_column(1, "item", pa.array(np.array(table["item"]) * 7919 * 2**40 - 2**61))
        history = [[step * 7919 * 2**40 - 2**61 for step in steps] for steps in table["history"].to_pylist()]
        table = table.set_column(3, "history", pa.array(history, pa.list_(pa.int64())))
        pq.write_table(table, folder / f"{name}.parquet")
    return folder


def run(config: Any, rows: Path, folder: Path, **options: Any) -> TrainReport:
    return train(config, new_model(config), source(config, rows / "train.parquet"), model_dir=folder, **options)


def slots_of(model: nn.Module) -> dict[str, IdSlots]:
    return {name: module for name, module in model.named_modules() if isinstance(module, IdSlots)}


@pytest.mark.parametrize("policy", POLICIES)
def test_a_checkpoint_scores_as_the_model_that_was_trained(policy: str, rows: Path, tmp_path: Path) -> None:
    config = config_of(policy, 7)
    held = source(config, rows / "eval.parquet")
    settings = read_settings(config.train_config)
    with process_group(Environment()) as group:
        learner = Learner(new_model(config), config.train_config, settings, group, torch.device("cpu"))
        for batch in source(config, rows / "train.parquet").epoch():
            learner.set_rates(0, 0)
            loss, _, _ = learner.forward(batch)
            learner.backward(loss)
        learner.module.eval()
        with torch.no_grad():
            scores = [learner.predict(batch.features)["probs"].clone() for batch in held.epoch()]
        before = [
            {name: each.clone() for name, each in slots.named_buffers()} for slots in slots_of(learner.module).values()
        ]
        saved = checkpoint.save(learner.state, checkpoint.Position(7), tmp_path)
    model = new_model(config, 9).eval()
    checkpoint.load(model, saved)
    with torch.no_grad():
        again = [model(batch.features)["probs"] for batch in held.epoch()]
    torch.testing.assert_close(again, scores, rtol=1e-6, atol=1e-7)
    assert len(before) == 3
    for slots, old in zip(slots_of(model).values(), before, strict=True):
        ids = slots.get_buffer("_mch_sorted_raw_ids")
        assert 5 < int((ids != FREE).sum()) < len(ids)
        torch.testing.assert_close(ids, old["_mch_sorted_raw_ids"])
        assert int(slots.get_buffer("_current_iter_tensor")) == 7


@pytest.mark.parametrize("policy", POLICIES)
def test_a_resumed_run_ends_as_one_that_ran_on(policy: str, rows: Path, tmp_path: Path) -> None:
    """It stops between two choices of the policy, so the ids seen since the last one count too."""
    run(config_of(policy, 11), rows, tmp_path / "whole")
    run(config_of(policy, 5), rows, tmp_path / "parts")
    run(config_of(policy, 11), rows, tmp_path / "parts")
    for part in ("model", "optimizer", "zch"):
        whole, parts = (read_all(tmp_path / name / "model.ckpt-11" / part) for name in ("whole", "parts"))
        assert whole and whole.keys() == parts.keys()
        torch.testing.assert_close(parts, whole, rtol=0, atol=0)


def test_evaluation_leaves_the_mapping_alone(rows: Path, tmp_path: Path) -> None:
    config = config_of("lru", 5)
    report = run(config, rows, tmp_path / "with", eval_source=source(config, rows / "eval.parquet"))
    run(config, rows, tmp_path / "without")
    with_, without = (read_all(tmp_path / name / "model.ckpt-5" / "model") for name in ("with", "without"))
    torch.testing.assert_close(with_, without, rtol=0, atol=0)
    model = new_model(config, 9)
    checkpoint.load(model, tmp_path / "with")
    again = evaluate(model, model.tasks, source(config, rows / "eval.parquet"), eval_config=config.eval_config)
    assert again == pytest.approx(report.metrics, abs=1e-6)


def test_gradients_are_unscaled_on_their_way_into_the_tables(rows: Path, tmp_path: Path) -> None:
    config = config_of("lfu", 4)
    run(config, rows, tmp_path / "plain")
    config.train_config.grad_scaler.init_scale = 1024.0
    run(config, rows, tmp_path / "scaled")
    plain, scaled = (read_all(tmp_path / name / "model.ckpt-4" / "model") for name in ("plain", "scaled"))
    torch.testing.assert_close(scaled, plain, rtol=1e-4, atol=1e-5)


def test_a_frozen_table_keeps_its_rows_and_who_has_them(rows: Path, tmp_path: Path) -> None:
    config = config_of("lfu", 5)
    trained = run(config, rows, tmp_path / "first").checkpoint
    for entry in config.feature_configs:
        if entry.WhichOneof("feature") != "raw_feature":
            getattr(entry, entry.WhichOneof("feature")).trainable = False
    config.train_config.fine_tune_checkpoint = str(trained)
    tuned = run(config, rows, tmp_path / "second").checkpoint
    before, after = (read_all(path / "model") for path in (trained, tuned))
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert {name for name in before if "mc_e" in name} <= same
    assert len(before) - len(same) > 4


def test_a_model_without_memory_has_mappings_without_memory() -> None:
    with torch.device("meta"):
        model = new_model(config_of("lfu", 1))
    assert {tensor.device.type for tensor in [*model.parameters(), *model.buffers()]} == {"meta"}


def test_mappings_that_several_ranks_wrote_are_put_in_order(rows: Path, tmp_path: Path) -> None:
    """Each rank's ids ascend, and its last row is for unknown ids; in one process all ids ascend."""
    config = config_of("lfu", 5)
    saved = run(config, rows, tmp_path / "ours").checkpoint
    state = read_all(saved / "model")
    name = next(each for each in state if "mc_ebc" in each and each.endswith("user_emb._mch_sorted_raw_ids"))
    head = name.removesuffix("_mch_sorted_raw_ids")
    state[name][:] = torch.tensor([7, 9, 11, FREE, FREE, FREE, 2, 3, 8, 30, FREE, FREE])
    state[f"{head}_mch_remapped_ids_mapping"][:] = torch.arange(12)
    state[f"{head}_output_segments_tensor"][:3] = torch.tensor([0, 6, 12])
    write_tensors(tmp_path / "model.ckpt-5" / "model", state)
    model = new_model(config)
    checkpoint.load(model, tmp_path / "model.ckpt-5")
    slots = next(slots for name, slots in slots_of(model).items() if name.endswith("user_emb"))
    assert slots.get_buffer("_mch_sorted_raw_ids").tolist() == [2, 3, 7, 8, 9, 11, 30, *[FREE] * 5]
    assert slots.get_buffer("_mch_remapped_ids_mapping").tolist() == [6, 7, 0, 8, 1, 2, 9, 3, 4, 5, 10, 11]
    state[f"{head}_output_segments_tensor"][:3] = torch.tensor([0, 6, 13])
    write_tensors(tmp_path / "other" / "model.ckpt-5" / "model", state)
    with pytest.raises(ModelError, match=r"zero-collision mapping .*user_emb cannot be used"):
        checkpoint.load(model, tmp_path / "other")


@pytest.mark.parametrize("kind", ["EXACT_SGD", "EXACT_ADAGRAD", "EXACT_ROWWISE_ADAGRAD"])
def test_a_row_that_changes_hands_starts_anew(kind: str) -> None:
    """Its weights are those of ``init_fn``, its optimizer state is the initial one: closed forms of one step."""
    rate, start, initial = 0.5, 0.25, 0.7
    config = text_format.Parse(
        """data_config { fg_mode: FG_NONE }
        feature_configs {
          id_feature {
            feature_name: "f" embedding_dim: 4 init_fn: "nn.init.constant_,val=0.25"
            zch { zch_size: 3 eviction_interval: 1 lru {} }
          }
        }""",
        EasyRecConfig(),
    )
    model = PooledEmbeddings({"deep": build_features(config)}, {})
    fused = {"optimizer": getattr(EmbOptimType, kind), "learning_rate": rate, "eps": 0.0}
    with process_group(Environment()) as group:
        sharded = shard(model, fused, group, torch.device("cpu"), initial)
        for state in fused_state(sharded.fused_optimizer).values():
            local_parts(state)[0][1].fill_(initial)
        for ids in ([1, 2], [1, 2], [1, 9]):
            batch = {"f.values": torch.tensor(ids), "f.lengths": torch.tensor([1, 1], dtype=torch.int32)}
            sharded(batch)["deep"].sum().backward()
        slots = next(iter(slots_of(sharded).values()))
        ids, places = (slots.state_dict()[f"_mch_{part}"] for part in ("sorted_raw_ids", "remapped_ids_mapping"))
        row = dict(zip(ids.tolist(), places.tolist(), strict=True))
        assert row.keys() == {1, 9, FREE}
        weight = next(local_parts(each)[0][1] for name, each in sharded.state_dict().items() if name.endswith("weight"))
        states = [local_parts(state)[0][1] for state in fused_state(sharded.fused_optimizer).values()]
    moved = {1: 3, 9: 1}
    for each, steps in moved.items():
        sums = [initial + step for step in range(1, steps + 1)] if kind != "EXACT_SGD" else [1.0] * steps
        expected = start - rate * sum(1 / each_sum**0.5 for each_sum in sums)
        torch.testing.assert_close(weight[row[each]], torch.full((4,), expected))
        for state in states:
            torch.testing.assert_close(state[row[each]], torch.full_like(state[row[each]], sums[-1]))
