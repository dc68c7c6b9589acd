"""Trains a small model on several processes by torchrec alone, and writes what `test_many_ranks` compares with.

Usage: python -m tests.train.many_ranks FOLDER    (makes FOLDER/<layout>-<optimizer>/, one for each of both)

FOLDER/one-<optimizer>/model.ckpt-3, of a single process, is there already, and is read too. Each folder gets
``model.ckpt-3`` (written by ``torch.distributed.checkpoint``), ``at.pt`` (the state after three steps, gathered without
it), ``after.pt`` (after one more step) and ``probs.pt`` (the sharded model's predictions).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as mp
from fbgemm_gpu.split_embedding_configs import EmbOptimType
from google.protobuf import text_format
from torch import nn
from torchrec.distributed.embedding import EmbeddingCollectionSharder
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.distributed.planner import EmbeddingShardingPlanner, ParameterConstraints, Topology
from torchrec.distributed.types import ShardingEnv

from recinfer.data.parser import Parser
from recinfer.features import build_features
from recinfer.nn.pooled_embeddings import PooledEmbeddings
from recinfer.protos.pipeline_pb2 import EasyRecConfig
from recinfer.train.checkpoint import TrainState, load_training
from recinfer.train.learner import ModelHolder
from recinfer.train.optimizer_state import optimizer_state
from recinfer.train.optimizers import DenseOptimizer, build_dense_optimizers
from tests.train.conftest import DIN, make_table, new_model

STEPS, ROWS = 3, 32
GRADE = """
feature_configs { id_feature { feature_name: "grade" expression: "item:grade" embedding_dim: 8 num_buckets: 7 } }
"""
OPTIMIZERS = {"adagrad": EmbOptimType.EXACT_ADAGRAD, "rowwise_adagrad": EmbOptimType.EXACT_ROWWISE_ADAGRAD}


@dataclass(frozen=True)
class Layout:
    """How tables lie on ranks: sharding type by table; table-wise where nothing is said."""

    ranks: int
    bags: dict[str, str]
    sequences: str = "table_wise"


# Seven rows on four ranks: one has fewer.
LAYOUTS = {
    "rows4": Layout(4, {"user_emb": "row_wise", "item_emb": "row_wise", "grade_emb": "row_wise"}),
    "mixed2": Layout(2, {"user_emb": "row_wise"}),
    "columns2": Layout(2, {"user_emb": "column_wise", "item_emb": "column_wise"}, "column_wise"),
}


def config_of(optimizer: str) -> Any:
    """The DIN of these tests without dropout, with a table of seven rows."""
    text = DIN.replace("dropout_ratio: 0.1", "").replace("adagrad_optimizer", f"{optimizer}_optimizer")
    text = text.replace('feature_names: "price" group', 'feature_names: "price" feature_names: "grade" group')
    return text_format.Parse(text + GRADE, EasyRecConfig())


def rows_of(step: int, rows: int = ROWS) -> pa.Table:
    """The rows of a step; all ranks together learn from them."""
    table = make_table(rows, 100 + step)
    return table.append_column("grade", pa.array([row % 7 for row in range(rows)]))


def parsed(config: Any, table: pa.Table) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Features and labels."""
    parser = Parser(build_features(config), for_model=True)
    return parser(table.combine_chunks().to_batches()[0]), torch.tensor(table["clicked"].to_pylist()).float()


def loss_of(predictions: dict[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
    """The mean over rows."""
    return nn.functional.binary_cross_entropy_with_logits(predictions["logits"].flatten(), labels)


class BagSharder(EmbeddingBagCollectionSharder):
    """torchrec offers row-wise bags on GPUs only."""

    def sharding_types(self, compute_device_type: str) -> list[str]:
        return [*super().sharding_types(compute_device_type), "row_wise"]


class Job:
    """A sharded model with its optimizers."""

    def __init__(self, config: Any, layout: Layout, optimizer: str, group: dist.ProcessGroup, seed: int) -> None:
        self.config, self.group = config, group
        model = new_model(config, seed)
        before = {f"model.{name}": tensor.clone() for name, tensor in model.state_dict().items()}
        fused = {"optimizer": OPTIMIZERS[optimizer], "learning_rate": 0.05}
        sharders: Any = [BagSharder(fused), EmbeddingCollectionSharder(fused)]
        names = {name.split(".")[-2]: "ebc" in name for name in before if ".embedding" in name and "emb" in name}
        constraints = {
            name: ParameterConstraints(
                sharding_types=[layout.bags.get(name, "table_wise") if bag else layout.sequences],
                compute_kernels=["fused"],
                min_partition=4,
            )
            for name, bag in names.items()
        }
        planner = EmbeddingShardingPlanner(
            topology=Topology(layout.ranks, "cpu", local_world_size=layout.ranks), constraints=constraints
        )
        holder = ModelHolder(model)
        plan = planner.collective_plan(holder, sharders, group)
        env = ShardingEnv.from_process_group(group)
        self.module = DistributedModelParallel(holder, env, torch.device("cpu"), plan, sharders)
        for part in model.modules():
            if isinstance(part, PooledEmbeddings):
                part.forget_layout()
        with torch.no_grad():
            for name, tensor in self.module.state_dict().items():
                for offsets, piece in pieces(tensor):
                    piece.copy_(part_of(before[name], offsets, piece))
        self.fused = self.module.fused_optimizer
        rest = [(name, each) for name, each in self.module.named_parameters() if name not in self.fused.params]
        # Of a table that lies elsewhere, torchrec leaves an empty parameter.
        self.dense: list[DenseOptimizer] = build_dense_optimizers(config.train_config.dense_optimizer, rest)

    @property
    def state(self) -> TrainState:
        return TrainState(self.module, self.dense, self.fused)

    def step(self, number: int) -> None:
        table, rank, ranks = rows_of(number), self.group.rank(), self.group.size()
        share = ROWS // ranks
        features, labels = parsed(self.config, table.slice(rank * share, share))
        self.module.train()
        loss_of(self.module(features), labels).backward()
        for each in self.dense:
            each.optimizer.step()
            each.optimizer.zero_grad()

    def probs(self) -> torch.Tensor:
        self.module.eval()
        with torch.no_grad():
            found: torch.Tensor = self.module(parsed(self.config, rows_of(50))[0])["probs"]
        return found

    def gathered(self) -> dict[str, torch.Tensor]:
        """Everything whole, on each rank."""
        state = self.module.state_dict() | optimizer_state(self.dense, self.fused)
        mine = {name: [(o, p.clone()) for o, p in pieces(value)] for name, value in state.items()}
        sizes = {name: tuple(v.metadata().size if hasattr(v, "metadata") else v.shape) for name, v in state.items()}
        everyone: list[Any] = [None] * self.group.size()
        dist.all_gather_object(everyone, (sizes, mine), group=self.group)
        whole = {
            name: torch.full(size, float("nan")).to(kinds(everyone, name))
            for sizes, _ in everyone
            for name, size in sizes.items()
        }
        for _, parts in everyone:
            for name, held in parts.items():
                for offsets, piece in held:
                    part_of(whole[name], offsets, piece).copy_(piece)
        return whole


def kinds(everyone: list[Any], name: str) -> torch.dtype:
    return next(piece.dtype for _, parts in everyone for _, piece in parts.get(name, []))


def pieces(tensor: Any) -> Iterator[tuple[list[int], torch.Tensor]]:
    """(offsets, part) of what this rank holds."""
    if hasattr(tensor, "local_shards"):
        for shard in tensor.local_shards():
            yield list(shard.metadata.shard_offsets), shard.tensor.detach()
    else:
        yield [0] * tensor.dim(), tensor.detach()


def part_of(whole: torch.Tensor, offsets: list[int], piece: torch.Tensor) -> torch.Tensor:
    for dim, (offset, size) in enumerate(zip(offsets, piece.shape, strict=True)):
        whole = whole.narrow(dim, offset, size)
    return whole


def write(config: Any, name: str, optimizer: str, group: dist.ProcessGroup, folder: Path) -> None:
    job = Job(config, LAYOUTS[name], optimizer, group, 7)
    for number in range(STEPS):
        job.step(number)
    first = group.rank() == 0
    checkpoint = folder / "model.ckpt-3"
    for part, state in (("model", job.module.state_dict()), ("optimizer", optimizer_state(job.dense, job.fused))):
        dcp.save(state, checkpoint_id=checkpoint / part, process_group=group)
    at, probs = job.gathered(), job.probs()
    job.step(STEPS)
    after = job.gathered()
    if first:
        for title, value in (("at", at), ("after", after), ("probs", probs)):
            torch.save(value, folder / f"{title}.pt")


def read(config: Any, name: str, optimizer: str, group: dist.ProcessGroup, folder: Path, other: Path) -> None:
    """Loads another layout's checkpoint, and writes what it became, before and after a step."""
    job = Job(config, LAYOUTS[name], optimizer, group, 8)
    load_training(job.state, other / "model.ckpt-3")
    at = job.gathered()
    job.step(STEPS)
    after = job.gathered()
    if group.rank() == 0:
        torch.save({"at": at, "after": after}, folder / f"from-{other.name.split('-')[0]}.pt")


def work(rank: int, out: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{out}/meet", rank=rank, world_size=4)
    pair = dist.new_group([0, 1])
    groups = {2: pair, 4: dist.group.WORLD}
    for optimizer in OPTIMIZERS:
        config = config_of(optimizer)
        jobs = {name: out / f"{name}-{optimizer}" for name in [*LAYOUTS, "one"]}
        mine = [name for name, layout in LAYOUTS.items() if rank < layout.ranks]
        for name in mine:
            jobs[name].mkdir(exist_ok=True)
            write(config, name, optimizer, groups[LAYOUTS[name].ranks], jobs[name])
        dist.barrier()
        for name in mine:
            for other, folder in jobs.items():
                if other != name:
                    read(config, name, optimizer, groups[LAYOUTS[name].ranks], jobs[name], folder)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    # Forked, so that torch is imported once.
    mp.start_processes(work, (target,), nprocs=4, start_method="fork")
