"""What a compiled export is made for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recinfer.env import Environment
from recinfer.errors import UsageError
from recinfer.features.base import Feature

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
    """

    most_rows: int | None = None
    most_steps: int | None = None
    workspace_mib: int = 0
    cudnn_tf32: bool = True
    matmul_tf32: bool = False
    debug: bool = False

    def steps(self, features: Sequence[Feature]) -> int:
        """The most steps of a sequence, as asked for or as the longest feature has."""
        if self.most_steps:
            return self.most_steps
        lengths = [feature.sequence.length for feature in features if feature.sequence is not None]
        return max((each for each in lengths if each), default=TRT_STEPS)


DEFAULT_OPTIONS = CompileOptions()


def compile_options(
    environment: Environment,
    *,
    max_batch_size: int | None = None,
    trt_max_seq_len: int | None = None,
    trt_workspace_mib: int | None = None,
    cudnn_tf32: bool = True,
    matmul_tf32: bool = False,
    debug: bool = False,
) -> CompileOptions:
    """What flags ask for, else the environment.

    Raises:
        UsageError: batches would be too small.
    """
    rows = max_batch_size or environment.max_export_batch_size
    if rows is not None and rows < FEWEST_ROWS:
        raise UsageError(
            f"the largest batch of an export cannot be {rows} rows", f"make it {FEWEST_ROWS} or more, or leave it out"
        )
    return CompileOptions(
        most_rows=rows,
        most_steps=trt_max_seq_len or environment.trt_max_seq_len,
        workspace_mib=(environment.trt_workspace_mib or 0) if trt_workspace_mib is None else trt_workspace_mib,
        cudnn_tf32=cudnn_tf32,
        matmul_tf32=matmul_tf32,
        debug=debug or environment.debug_trt,
    )


def first_set(*asked: bool | None) -> bool:
    """The first of several that is not None; the last one never is."""
    return next(each for each in asked if each is not None)
