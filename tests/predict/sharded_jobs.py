"""Prediction from a checkpoint by several processes, each of which leaves behind how it ended; faults can be built in.

Usage, under torchrun: python -m tests.predict.sharded_jobs '{"config": ..., "source": ..., "output": ..., ...}'
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import torch

from recinfer.errors import RecinferError
from recinfer.main import sharded
from recinfer.main.checkpoint_model import find_checkpoint_model
from recinfer.main.sharded import predict_sharded
from recinfer.predict import job, rank_cards
from recinfer.predict.job import PredictOptions
from recinfer.predict.sharded_batch import StepBatch
from recinfer.predict.sharded_pipeline import StepModel
from tests.predict.rank_jobs import CONTEXT
from tests.torchrun import free_port

OPTIONS = {"unit_rows": 100, "batch_size": 64, "reserved_columns": ["row_id", "code"]}
# All that a job imports, before it is forked.
CONTEXT.set_forkserver_preload(
    ["tests.predict.rank_jobs", "tests.predict.sharded_jobs", "tests.predict.sharded_models"]
)


def sharded_job(asked: Mapping[str, Any]) -> None:
    """One rank; writes ``<ended>/<rank>.json``.

    Args:
        asked: ``config``, ``checkpoint``, ``source``, ``output``, ``ended``; ``options``; and faults, each at the n-th
            step that a rank takes: ``kill``, ``fail``, ``terminate``: ``[rank, n]``; ``torch``: versions by rank;
            ``in_flight``: bytes of all batches; ``die_building``: a rank that dies when it is to build its part.
    """
    rank = int(os.environ["RANK"])
    torch.set_num_threads(1)
    _build_in(asked, rank)
    options = PredictOptions(**{**OPTIONS, **asked.get("options", {})})
    plan: list[Any] = []
    ended: dict[str, Any] = {"summary": None}
    try:
        summary = predict_sharded(
            lambda: find_checkpoint_model(asked["config"], asked.get("checkpoints", {}).get(str(rank))),
            asked["source"],
            asked["output"],
            options,
            on_plan=plan.extend,
        )
        ended = {"summary": summary and summary.to_json(), "plan": [vars(row) for row in plan]}
    except RecinferError as error:
        ended = {"kind": type(error).__name__, "message": error.message, "hint": error.hint}
        raise SystemExit(error.exit_code) from None
    finally:
        Path(asked["ended"], f"{rank}.json").write_text(json.dumps(ended))


def _build_in(asked: Mapping[str, Any], rank: int) -> None:
    forward, taken = StepModel.forward, itertools.count(1)

    def faulty(model: StepModel, batch: StepBatch) -> Any:
        # The first one only learns what the model's outputs are.
        step = [rank, next(taken) - 1]
        if asked.get("kill") == step:
            os.kill(os.getpid(), signal.SIGKILL)
        if asked.get("terminate") == step:
            os.kill(os.getpid(), signal.SIGTERM)
        if asked.get("fail") == step:
            raise ValueError("a fault of the model")
        return forward(model, batch)

    StepModel.forward = faulty  # type: ignore[method-assign]
    if str(rank) in asked.get("torch", {}):
        found = rank_cards._version
        rank_cards._version = lambda name: asked["torch"][str(rank)] if name == "torch" else found(name)
    if "in_flight" in asked:
        job.in_flight_bytes = lambda prepared: int(asked["in_flight"])
    if asked.get("die_building") == rank:
        sharded._build = lambda *given: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]


def _with_environment(variables: Mapping[str, str], asked: Mapping[str, Any]) -> None:
    os.environ.update(variables)
    sharded_job(asked)


def start(asked: Mapping[str, Any], size: int) -> list[ForkServerProcess]:
    """Starts ranks as another launcher than torchrun does: it neither serves the store nor ends the others."""
    Path(asked["ended"]).mkdir(exist_ok=True)
    shared = {"WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1"}
    shared["MASTER_PORT"] = str(free_port())
    ranks = []
    for rank in range(size):
        variables = {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank), **asked.get("environment", {})}
        process = CONTEXT.Process(target=_with_environment, args=(variables, dict(asked)))
        process.start()
        ranks.append(process)
    return ranks


if __name__ == "__main__":
    sharded_job(json.loads(sys.argv[1]))
