"""Two processes score with every model, sharded, and write how far they are from the plain one.

Usage: python -m tests.predict.sharded_models FOLDER    (writes FOLDER/<case>-<rank>.json)
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import make_taobao
import pyarrow as pa
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from recinfer.config.load import load_pipeline_config
from recinfer.data.parser import Parser, Tensors
from recinfer.distributed.agreement import Agreement
from recinfer.distributed.sharding import shard
from recinfer.distributed.shards import copy_parts
from recinfer.nn.id_slots import IdSlots
from recinfer.nn.settled_tables import finish_tables, settle_tables
from recinfer.nn.table_collections import tables_without_memory
from recinfer.predict.sharded_batch import StepBatch
from recinfer.predict.sharded_pipeline import PredictPipelineSparseDist, StepModel
from recinfer.predict.sharded_scorer import ShardedScorer
from recinfer.predict.sharded_steps import AgreedSteps
from recinfer.protos.embedding_pb2 import ParameterConstraints
from tests.configs import movielens_rows
from tests.synthetic import FEATURES, config_of, make_table, model_of

BATCH = 7
# One process has three batches, the other one; it takes part in the other two steps without rows.
BATCHES = {0: [0], 1: [1, 2, 3]}
CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*/*.config"))
ROWS = {"movielens": movielens_rows.make_table, "taobao": make_taobao.make_table}
ZERO_COLLISION = FEATURES.replace("hash_bucket_size: 50", "zch { zch_size: 50 eviction_interval: 2 lfu {} }")
HALF = FEATURES.replace('feature_name: "tags"', 'feature_name: "tags" data_type: "FP16"')
KINDS = ("row_wise", "column_wise", "data_parallel")


def cases() -> dict[str, tuple[Any, pa.Table, str]]:
    """Config, rows and sharding of each case; "" for what the planner takes."""
    found = {path.stem: (load_pipeline_config(path), ROWS[path.parent.name](600, 0), "") for path in CONFIGS}
    synthetic = make_table(4 * BATCH, 4)
    found |= {f"deepfm {kind}": (config_of("deepfm"), synthetic, kind) for kind in KINDS}
    found |= {f"din {kind}": (config_of("multi_tower_din"), synthetic, kind) for kind in KINDS[:2]}
    found["zero collision"] = (config_of("multi_tower_din", features=ZERO_COLLISION), synthetic, "row_wise")
    found["half precision"] = (config_of("deepfm", features=HALF), synthetic, "row_wise")
    return found


def learn_ids(model: nn.Module) -> None:
    """Gives every other id a row of its own, as training would; the others share the last one."""
    for module in model.modules():
        if isinstance(module, IdSlots):
            rows = module._zch_size
            ids = torch.cat([torch.arange(rows - 1) * 2, torch.tensor([torch.iinfo(torch.int64).max])])
            places = torch.cat([torch.randperm(rows - 1, generator=torch.manual_seed(1)), torch.tensor([rows - 1])])
            module.get_buffer("_mch_sorted_raw_ids").copy_(ids)
            module.get_buffer("_mch_remapped_ids_mapping").copy_(places)


class Batches:
    """A process's own batches, of which there is always one ready until there are no more."""

    def __init__(self, batches: list[StepBatch]) -> None:
        self._batches = batches
        self.more = True
        self.handed, self.returned = 0, 0

    @property
    def held(self) -> int:
        return self.handed - self.returned

    def take(self) -> StepBatch | None:
        if not self._batches:
            self.more = False
            return None
        self.handed += 1
        return self._batches.pop(0)


def score(scorer: ShardedScorer, batches: list[StepBatch], control: dist.ProcessGroup) -> Iterator[tuple[int, Tensors]]:
    """Number and predictions of each batch."""
    own = Batches(batches)
    steps = AgreedSteps(own, scorer.empty, Agreement(control), lambda: False, lambda: None, lambda: None)
    for batch, predictions in PredictPipelineSparseDist(scorer.module, scorer.device).run(steps):
        if batch.origin is not None:
            own.returned += 1
            yield batch.origin, predictions


def compare(config: Any, table: pa.Table, kind: str, rank: int, control: dist.ProcessGroup) -> dict[str, Any]:
    """How far the sharded model is from the plain one, relative to scores above 1."""
    plain, features = model_of(config)
    learn_ids(plain)
    with tables_without_memory():
        model, _ = model_of(config)
    settle_tables(model)
    general = ParameterConstraints(sharding_types=[kind]) if kind else None
    world = dist.group.WORLD
    assert world is not None
    module = shard(StepModel(model), {}, world, torch.device("cpu"), general=general)
    for name, tensor in module.state_dict().items():
        copy_parts(tensor, plain.state_dict()[name.removeprefix("model.")])
    finish_tables(module)
    scorer = ShardedScorer(module, features, None, torch.device("cpu"))
    parser = Parser(features, for_model=True)
    batches = {number: parser(table.slice(number * BATCH, BATCH)) for number in BATCHES[rank]}
    worst, seen = 0.0, []
    with torch.no_grad():
        for number, found in score(scorer, [StepBatch(batch, number) for number, batch in batches.items()], control):
            seen.append(number)
            expected = plain(batches[number])
            assert found.keys() == expected.keys()
            for name, value in expected.items():
                assert found[name].shape == value.shape
                worst = max(worst, float(((found[name] - value).abs() / value.abs().clamp(min=1)).max()))
    return {"worst": worst, "batches": seen, "sharding": sorted({row.sharding for row in scorer.plan_rows()})}


def work(rank: int, out: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{out}/meet", rank=rank, world_size=2)
    control = dist.new_group(backend="gloo")
    for name, (config, table, kind) in cases().items():
        found = compare(config, table, kind, rank, control)
        (out / f"{name}-{rank}.json").write_text(json.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    # Forked, so that torch is imported once.
    mp.start_processes(work, (Path(sys.argv[1]),), nprocs=2, start_method="fork")
