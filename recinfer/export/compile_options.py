"""What a compiled export is made for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from recinfer.env import Environment
from recinfer.errors import UsageError
from recinfer.features.base import Feature
from recinfer.predict.device import CPU

Value = TypeVar("Value")

# Fewer rows than this leave no room for those that fill a batch up.
FEWEST_ROWS = 8
# Where neither a flag nor a feature says how long sequences get.
TRT_ROWS, TRT_STEPS = 2048, 100


@dataclass(frozen=True)
class CompileOptions:
    """What a compiled export is made for.

    Attributes:
        most_rows: of a batch; larger ones are cut. None for any.
        most_steps: of a sequence; None for what the features say.
        workspace_mib: memory that TensorRT may try layers with, 0 for all there is.
        cudnn_tf32, matmul_tf32: whether products on a GPU may round their inputs to TF32.
        debug: whether to log what the compiler does, and time what it makes.
        device: that the compiled part runs on.
    """

    most_rows: int | None = None
    most_steps: int | None = None
    workspace_mib: int = 0
    cudnn_tf32: bool = True
    matmul_tf32: bool = False
    debug: bool = False
    device: torch.device = CPU

    def steps(self, features: Sequence[Feature]) -> int:
        """The most steps of a sequence, as asked for or as the longest feature has."""
        if self.most_steps:
            return self.most_steps
        lengths = [feature.sequence.length for feature in features if feature.sequence is not None]
        return max((each for each in lengths if each), default=TRT_STEPS)


DEFAULT_OPTIONS = CompileOptions()


def compile_options(
    environment: Environment,
    export_config: Any,
    *,
    max_batch_size: int | None = None,
    trt_max_seq_len: int | None = None,
    trt_workspace_mib: int | None = None,
    cudnn_allow_tf32: bool | None = None,
    cuda_matmul_allow_tf32: bool | None = None,
    debug_trt: bool = False,
    device: torch.device = CPU,
) -> CompileOptions:
    """What flags ask for, else the environment, else the config.

    Args:
        export_config: an ``ExportConfig`` message.
        max_batch_size: largest batch of a compiled export, of 8 rows or more; by default ``MAX_EXPORT_BATCH_SIZE``,
            else ``TRT_MAX_BATCH_SIZE``, else 2048 with TensorRT and any otherwise.
        trt_max_seq_len: longest sequence with TensorRT; by default ``TRT_MAX_SEQ_LEN``, else the features'
            ``sequence_length``.
        trt_workspace_mib: memory in MiB that TensorRT may try layers with, 0 for all; by default ``TRT_WORKSPACE_MIB``.
        cudnn_allow_tf32, cuda_matmul_allow_tf32: whether a GPU may round inputs of products to TF32; by default
            ``CUDNN_ALLOW_TF32`` and ``CUDA_MATMUL_ALLOW_TF32``, else what ``export_config`` says.
        debug_trt: log what TensorRT does, and time it into ``trt_timing.json``; also with ``DEBUG_TRT``.
        device: that the compiled part shall run on.

    Raises:
        UsageError: batches would be too small.
    """
    rows = _first(max_batch_size, environment.max_export_batch_size, None)
    if rows is not None and rows < FEWEST_ROWS:
        raise UsageError(
            f"the largest batch of an export cannot be {rows} rows", f"make it {FEWEST_ROWS} or more, or leave it out"
        )
    matmul = _first(cuda_matmul_allow_tf32, environment.cuda_matmul_allow_tf32, export_config.cuda_matmul_allow_tf32)
    return CompileOptions(
        most_rows=rows,
        most_steps=_first(trt_max_seq_len, environment.trt_max_seq_len, None),
        workspace_mib=_first(trt_workspace_mib, environment.trt_workspace_mib, 0),
        cudnn_tf32=_first(cudnn_allow_tf32, environment.cudnn_allow_tf32, export_config.cudnn_allow_tf32),
        matmul_tf32=matmul,
        debug=debug_trt or environment.debug_trt,
        device=device,
    )


def _first(flag: Value | None, variable: Value | None, default: Value) -> Value:
    """The first that is set."""
    if flag is not None:
        return flag
    return default if variable is None else variable
