"""Prediction jobs in processes of their own, to be killed from outside."""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import torch

from recinfer.data.batch import Chunking
from recinfer.main import load_scorer, predict
from recinfer.predict import job

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.predict.jobs"])


def predict_job(export: str, source: str, output: str, options: dict[str, Any]) -> None:
    """Runs ``recinfer.predict`` with a fixed chunk, since the choice of one is a measurement."""
    torch.set_num_threads(1)
    job.choose_chunking = lambda scorer, sample: Chunking(256, 600)
    predict(load_scorer(export), source, output, **options)


def start(export: Path, source: Path, output: Path, options: dict[str, Any]) -> ForkServerProcess:
    """Starts a job."""
    process = CONTEXT.Process(target=predict_job, args=(str(export), str(source), str(output), options))
    process.start()
    return process
