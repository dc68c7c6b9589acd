"""Prediction by several processes, each of which leaves behind how it ended; faults can be built in.

Usage, under torchrun: python -m tests.predict.rank_jobs '{"export": ..., "source": ..., "output": ..., "ended": ...}'
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import torch

from recinfer.data.batch import Chunking
from recinfer.data.readers.base import Reader
from recinfer.errors import RecinferError
from recinfer.main.ranks import predict_on_ranks
from recinfer.main.scorer import load_scorer
from recinfer.predict import job, rank_cards
from recinfer.predict.job import PredictOptions
from tests.torchrun import free_port

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.predict.rank_jobs"])
OPTIONS = {"unit_rows": 100, "batch_size": 64, "predict_threads": 1, "reserved_columns": ["row_id", "code"]}


def rank_job(asked: Mapping[str, Any]) -> None:
    """One rank; writes ``<ended>/<rank>.json``.

    Args:
        asked: ``export``, ``source``, ``output``, ``ended``; ``options``; and faults: ``kill``: ``[rank, n]`` dies at
            its n-th unit; ``hide``: ranks that see no input; ``torch``: versions by rank; ``pause``: seconds a unit.
    """
    rank = int(os.environ["RANK"])
    torch.set_num_threads(1)
    job.choose_chunking = lambda scorer, sample: Chunking(64, 150)
    _build_in(asked, rank)
    options = PredictOptions(**{**OPTIONS, **asked.get("options", {})})
    ended: dict[str, Any] = {"summary": None}
    try:
        summary = predict_on_ranks(lambda: load_scorer(asked["export"]), asked["source"], asked["output"], options)
        ended["summary"] = summary and summary.to_json()
    except RecinferError as error:
        ended = {"kind": type(error).__name__, "message": error.message, "hint": error.hint}
        raise SystemExit(error.exit_code) from None
    finally:
        Path(asked["ended"], f"{rank}.json").write_text(json.dumps(ended))


def _build_in(asked: Mapping[str, Any], rank: int) -> None:
    read, drawn = Reader.read, itertools.count(1)

    def faulty(reader: Reader, unit: Any, *more: Any, **named: Any) -> Iterator[Any]:
        # Each rank tries its model on a unit before the job begins, which is no place to die.
        if threading.current_thread().name.startswith("read"):
            time.sleep(asked.get("pause", 0.0))
            if asked.get("kill") == [rank, next(drawn)]:
                os.kill(os.getpid(), signal.SIGKILL)
        return read(reader, unit, *more, **named)

    Reader.read = faulty  # type: ignore[method-assign]
    if str(rank) in asked.get("torch", {}):
        found = rank_cards._version
        rank_cards._version = lambda name: asked["torch"][str(rank)] if name == "torch" else found(name)
    if rank in asked.get("hide", []):
        from recinfer.data import inputs

        inputs._info = lambda path: inputs.pafs.FileInfo(path, inputs.pafs.FileType.NotFound)


def _with_environment(variables: Mapping[str, str], asked: Mapping[str, Any]) -> None:
    os.environ.update(variables)
    rank_job(asked)


def start(asked: Mapping[str, Any], size: int, port: int | None = None) -> list[ForkServerProcess]:
    """Starts ranks as another launcher than torchrun does: it neither serves the store nor ends the others."""
    Path(asked["ended"]).mkdir(exist_ok=True)
    shared = {"WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1"}
    shared["MASTER_PORT"] = str(port or free_port())
    ranks = []
    for rank in range(size):
        variables = {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        process = CONTEXT.Process(target=_with_environment, args=(variables, dict(asked)))
        process.start()
        ranks.append(process)
    return ranks


def endings(asked: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """How each rank ended; without those that were killed."""
    return {int(path.stem): json.loads(path.read_text()) for path in Path(asked["ended"]).glob("*.json")}


if __name__ == "__main__":
    rank_job(json.loads(sys.argv[1]))
