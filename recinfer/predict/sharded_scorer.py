"""A model whose tables lie on several processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torchrec.distributed.model_parallel import DistributedModelParallel

from recinfer.data.batch import Chunking
from recinfer.data.parser import Tensors
from recinfer.distributed.plan_table import PlanRow, plan_rows
from recinfer.features.base import Feature
from recinfer.features.example import example_batch
from recinfer.models.rowless import with_an_empty_row
from recinfer.predict.scorer import DEFAULT_ROWS, DEFAULT_STEPS, Scorer
from recinfer.predict.sharded_batch import StepBatch
from recinfer.predict.sharded_pipeline import StepModel

# A step takes milliseconds of messages whatever it carries, so steps are larger than chunks that stay in the cache.
STEP_ROWS = 8 * DEFAULT_ROWS
STEP_STEPS = 8 * DEFAULT_STEPS


class ShardedScorer(Scorer):
    """One process's part of a sharded model. All processes make theirs, and run them, together.

    Args:
        module: a sharded :class:`~recinfer.predict.sharded_pipeline.StepModel`, with its weights loaded; put into eval
            mode.
        features: those that it reads.
        data_config: how input is read.
        device: of this process.
        threads: that products use.
        step_rows: most rows of a step; None for a default.

    Attributes:
        fingerprint: of the weights; set by the process that plans.
        model: the module inside the wrapper.
        empty: the batch of a process without rows.
    """

    measures_chunks = False

    def __init__(
        self,
        module: DistributedModelParallel,
        features: Sequence[Feature],
        data_config: Any,
        device: torch.device,
        threads: int = 1,
        step_rows: int | None = None,
    ) -> None:
        self.module, self.device = module.eval(), device
        self.model = _inside(module)
        self.empty = StepBatch(with_an_empty_row(example_batch(features, 0)))
        self._threads = threads
        super().__init__(features, "", data_config)
        self.chunking = Chunking(min(step_rows or STEP_ROWS, STEP_ROWS), STEP_STEPS if self.sequences else None)

    def run(self, tensors: Tensors) -> Tensors:
        """Scores one chunk; all processes must do so at once."""
        # fbgemm's kernels for tables that could learn do not run in inference mode.
        with torch.inference_mode(False), torch.no_grad():
            _, (_, predictions) = self.module(StepBatch(tensors).to(self.device, non_blocking=False))
        return dict(predictions)

    def plan_rows(self) -> list[PlanRow]:
        """Where each table lies."""
        return plan_rows(self.module.plan, self.module.module, dist.get_world_size())

    def warm_up(self, rows: int = 2) -> None:
        """Nothing: that is done together, and was, when the outputs were learned."""

    def enter_thread(self) -> None:
        """Gets the thread that scores ready: both settings are a thread's own."""
        torch.set_num_threads(self._threads)
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)


def _inside(module: DistributedModelParallel) -> StepModel:
    model = module.module
    assert isinstance(model, StepModel)
    return model
