"""torchrec's sparse-dist pipeline for prediction: the ids of the next batch travel while this one is scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.distributed.train_pipeline import EvalPipelineSparseDist
from torchrec.distributed.train_pipeline.pipeline_context import TrainPipelineContext
from torchrec.distributed.train_pipeline.runtime_forwards import PipelinedForward
from torchrec.distributed.train_pipeline.utils import _override_input_dist_forwards
from torchrec.distributed.types import ShardedModule

from recinfer.data.parser import Tensors
from recinfer.nn.lookups import TakeLookups
from recinfer.nn.pooled_embeddings import PooledEmbeddings
from recinfer.nn.sequence_embeddings import SequenceEmbeddings
from recinfer.nn.settled_tables import SettledTables
from recinfer.predict.sharded_batch import StepBatch

Scored = tuple[StepBatch, Tensors]


class StepModel(nn.Module):
    """Holds a model under the name ``model``, as checkpoints call it; takes and returns what pipelines pass on.

    Attributes:
        around: entered around each step, to time it.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.around: Callable[[StepBatch], AbstractContextManager[Any]] = lambda batch: nullcontext()

    def forward(self, batch: StepBatch) -> tuple[None, Scored]:
        """No loss, and the predictions beside the batch that they are of."""
        with self.around(batch):
            return None, (batch, self.model(batch.tensors))


class PredictPipelineSparseDist(EvalPipelineSparseDist[StepBatch, Scored]):
    """Scores batches with a sharded model; all processes take each step together.

    Args:
        model: a sharded :class:`StepModel`, in eval mode.
        device: of this process.
    """

    def __init__(self, model: DistributedModelParallel, device: torch.device) -> None:
        # The optimizer is never asked for anything.
        super().__init__(model, None, device)  # type: ignore[arg-type]

    def run(self, steps: Iterator[StepBatch]) -> Iterator[Scored]:
        """Predictions of each step's batch, in order.

        A batch is scored once the next one has come, or none will come any more.

        Args:
            steps: this process's batch for each step; asked for in a thread of its own. All processes' iterators must
                end after the same number.

        Raises:
            Exception: what ``steps`` raises, or the model.
        """
        try:
            while True:
                try:
                    with torch.no_grad():
                        scored = self.progress(steps)
                except StopIteration:
                    return
                yield scored
        finally:
            self.reset()

    def _pipeline_model(
        self,
        batch: StepBatch | None,
        context: TrainPipelineContext,
        pipelined_forward: type[Any] = PipelinedForward,
    ) -> None:
        """Splits the collections' forwards: torchrec's own way is to trace the model, which cannot follow how ours take
        ids out of a batch, so each collection is told."""
        for path, collection, take in _collections(self._model.module):
            self._original_forwards.append(collection.forward)
            collection.is_pipelined = True
            forward = pipelined_forward(path, _Arguments(take), collection, context, self._data_dist_stream)
            collection.forward = forward  # type: ignore[method-assign]
            # What comes is not looked at any more: the ids have been sent already.
            collection.takes_lookups = True  # type: ignore[assignment]
            self._pipelined_modules.append(collection)
        # Collections make what sends ids when they first see some; only then can it be replaced.
        self.start_sparse_data_dist(batch, context)
        self.wait_sparse_data_dist(context)
        with self._stream_context(self._data_dist_stream):
            for request in context.input_dist_tensors_requests.values():
                request.wait()
        self._original_kjt_dist_forwards = _override_input_dist_forwards(self._pipelined_modules)


class _Arguments:
    """A collection's arguments, from a batch."""

    def __init__(self, take: TakeLookups) -> None:
        self._take = take

    def build_args_kwargs(self, batch: StepBatch) -> tuple[list[Any], dict[str, Any]]:
        """Positional and named ones."""
        return [self._take(batch.tensors).keyed_jagged()], {}


def _collections(model: nn.Module) -> Iterator[tuple[str, ShardedModule[Any, Any, Any, Any], TakeLookups]]:
    """Path and module of all sharded collections, and what takes their ids out of a batch."""
    for path, module in model.named_modules():
        if isinstance(module, PooledEmbeddings | SequenceEmbeddings):
            for name, take in module.collection_inputs().items():
                place, collection = f"{path}.{name}", module.get_submodule(name)
                if isinstance(collection, SettledTables):
                    place, take = f"{place}._embedding_module", _mapped(collection, take)
                    collection = collection.tables
                assert isinstance(collection, ShardedModule), f"{place} is not sharded"
                yield place, collection, take


def _mapped(settled: SettledTables, take: TakeLookups) -> TakeLookups:
    return lambda batch: settled.rows_of(take(batch))
