"""The kinds of exports: what each writes, and what scores with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import fx, nn

from recinfer.env import Environment
from recinfer.errors import UsageError
from recinfer.export.aot import write_aot
from recinfer.export.compile_options import CompileOptions
from recinfer.export.plain import with_plain_tables
from recinfer.export.quantize import with_inference_tables
from recinfer.export.script import write_scripted
from recinfer.export.tensorrt import write_trt
from recinfer.export.unified import write_unified
from recinfer.features.base import Feature
from recinfer.predict.compiled_scorer import CompiledScorer, UnifiedScorer
from recinfer.predict.export_scorer import ExportScorer
from recinfer.predict.scorer import Scorer
from recinfer.predict.tensorrt_runtime import check_tensorrt
from recinfer.predict.tensorrt_scorer import TensorRTScorer


@dataclass(frozen=True)
class Kind:
    """One kind.

    Attributes:
        write: puts a traced model into a folder; may change the graph.
        open: makes a scorer of the folder and a fingerprint.
        compiled: whether it holds machine code, which runs on machines like this one alone.
        switches: what ``model_acc.json`` says of it.
        device: that it scores on, ``cpu`` or ``cuda``.
        takes_options: whether ``write`` takes :class:`~recinfer.export.compile_options.CompileOptions` besides, as
            ``options``.
        check: raises a ModelError at once where this machine cannot make it.
        tables: makes the model's tables for inference, before it is traced.
        whole: whether all of the model is compiled, lookups included: nothing is folded, scripted or tiled then.
    """

    write: Callable[..., None]
    open: Callable[[Path, str], Scorer]
    compiled: bool = False
    switches: Mapping[str, str] = field(default_factory=dict)
    device: str = "cpu"
    takes_options: bool = False
    check: Callable[[], None] = lambda: None
    tables: Callable[[nn.Module, torch.dtype, torch.dtype], nn.Module] = with_inference_tables
    whole: bool = False

    def writer(self, options: CompileOptions) -> Callable[[fx.GraphModule, Sequence[Feature], Path], None]:
        """``write``, with options if it takes them."""
        return partial(self.write, options=options) if self.takes_options else self.write


KINDS: Mapping[str, Kind] = {
    "torchscript": Kind(write_scripted, ExportScorer),
    "aot": Kind(write_aot, CompiledScorer, compiled=True, switches={"ENABLE_AOT": "1"}, takes_options=True),
    "aot-unified": Kind(
        write_unified,
        UnifiedScorer,
        compiled=True,
        switches={"ENABLE_AOT": "2"},
        tables=with_plain_tables,
        whole=True,
    ),
    "trt": Kind(
        write_trt,
        TensorRTScorer,
        switches={"ENABLE_TRT": "1"},
        device="cuda",
        takes_options=True,
        check=check_tensorrt,
    ),
}

# What `--accelerate` names, and what `ENABLE_AOT` counts.
AUTO = "auto"
AUTO_KINDS = ("torchscript", "aot")
ACCELERATIONS: Mapping[str, str] = {
    "none": "torchscript",
    "aot": "aot",
    "aot-unified": "aot-unified",
    "trt": "trt",
    "auto": AUTO,
}
ENABLE_AOT: Mapping[int, str] = {0: "none", 1: "aot", 2: "aot-unified"}


def kind_name(accelerate: str | None, environment: Environment) -> str:
    """The kind that a flag or the environment asks for.

    Raises:
        UsageError: it is unknown.
    """
    if accelerate is None and environment.enable_trt:
        if environment.enable_aot:
            raise UsageError("ENABLE_TRT and ENABLE_AOT are both set", "unset one, or say --accelerate aot or trt")
        accelerate = "trt"
    if accelerate is None:
        number = environment.enable_aot or 0
        if number not in ENABLE_AOT:
            raise UsageError(f"ENABLE_AOT={number} is unknown", f"use one of {', '.join(map(str, ENABLE_AOT))}")
        accelerate = ENABLE_AOT[number]
    if accelerate not in ACCELERATIONS:
        raise UsageError(f"accelerate={accelerate!r} is unknown", f"use one of {', '.join(ACCELERATIONS)}")
    return ACCELERATIONS[accelerate]


def possible_kind(accelerate: str | None, environment: Environment) -> str:
    """As :func:`kind_name`, of a kind that this machine can make.

    Raises:
        ModelError: it cannot.
    """
    name = kind_name(accelerate, environment)
    if name in KINDS:
        KINDS[name].check()
    return name
