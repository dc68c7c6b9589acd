"""Trains on several processes, for `test_rank_training` to compare with one.

Usage: python -m tests.train.rank_jobs FOLDER    (runs each line of FOLDER/jobs.json)

Each job trains in ``FOLDER/<name>``, from ``FOLDER/<name>.config``, and leaves ``FOLDER/<name>.json`` there.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from recinfer.data.parser import Parser
from recinfer.data.readers.parquet import ParquetReader
from recinfer.distributed.plan_table import PlanRow
from recinfer.distributed.store import Board
from recinfer.env import Environment
from recinfer.main.config import load_config
from recinfer.main.model_input import new_model
from recinfer.nn.table_collections import tables_without_memory
from recinfer.train.batches import BatchSource, evaluation_options, training_options
from recinfer.train.metrics import grouping_columns
from recinfer.train.reports import TrainReport
from recinfer.train.trainer import train
from tests.torchrun import free_port

SEED = 5


def run(config_path: Path, environment: Environment, board: Board | None = None) -> tuple[TrainReport, list[PlanRow]]:
    """Trains as a config says, with the rows of one rank."""
    config: Any = load_config(config_path)
    with tables_without_memory():
        features, model = new_model(config, SEED)
    groups = grouping_columns(model.tasks)
    made = [
        BatchSource(
            ParquetReader(path),
            Parser(features, for_model=True),
            options(config.data_config, groups),
            SEED,
            environment.rank,
            environment.world_size,
        )
        for path, options in (
            (config.train_input_path, training_options),
            (config.eval_input_path, evaluation_options),
        )
    ]
    plan: list[PlanRow] = []
    report = train(config, model, made[0], made[1], environment=environment, board=board, on_plan=plan.extend)
    return report, plan


def work(rank: int, folder: Path, port: int) -> None:
    torch.set_num_threads(1)
    patience = timedelta(seconds=60)
    store = dist.TCPStore("127.0.0.1", port, is_master=rank == 0, timeout=patience, wait_for_workers=False)
    for job in json.loads((folder / "jobs.json").read_text()):
        if rank >= job["ranks"]:
            continue
        board = Board(dist.PrefixStore(job["name"], store))
        environment = Environment(rank=rank, world_size=job["ranks"])
        report, plan = run(folder / f"{job['name']}.config", environment, board)
        found = {
            "rows": report.rows,
            "step": report.step,
            "metrics": report.metrics,
            "plan": {f"{row.table} {row.lookup}": [row.sharding, row.kernel, row.bytes] for row in plan},
        }
        (folder / f"{job['name']}.{rank}.json").write_text(json.dumps(found))
    # Rank 0 serves the store.
    store.add("done", 1)
    while rank == 0 and store.add("done", 0) < 4:
        time.sleep(0.02)


if __name__ == "__main__":
    # Forked, so that torch is imported once.
    mp.start_processes(work, (Path(sys.argv[1]), free_port()), nprocs=4, start_method="fork")
