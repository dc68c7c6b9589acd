"""The kinds of exports: what each writes, and for which devices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import fx

from recinfer.env import Environment
from recinfer.errors import UsageError
from recinfer.export.aot import write_aot
from recinfer.export.compile_options import CompileOptions
from recinfer.export.script import write_scripted
from recinfer.export.tensorrt import write_trt
from recinfer.export.unified import write_unified
from recinfer.features.base import Feature
from recinfer.predict.device import CPU, device_of
from recinfer.predict.tensorrt_runtime import check_tensorrt


@dataclass(frozen=True)
class Kind:
    """One kind.

    Attributes:
        write: puts a traced model into a folder; may change the graph.
        compiled: whether it holds machine code, which runs on machines like this one alone.
        switches: what ``model_acc.json`` says of it.
        devices: types of devices that it can be made for, the usual one first.
        takes_options: whether ``write`` takes :class:`~recinfer.export.compile_options.CompileOptions` besides, as
            ``options``.
        check: raises a ModelError at once where this machine cannot make it.
        whole: whether all of the model is compiled, lookups included: nothing is folded, scripted or tiled then.
    """

    write: Callable[..., None]
    compiled: bool = False
    switches: Mapping[str, str] = field(default_factory=dict)
    devices: tuple[str, ...] = ("cpu",)
    takes_options: bool = False
    check: Callable[[], None] = lambda: None
    whole: bool = False

    def writer(self, options: CompileOptions) -> Callable[[fx.GraphModule, Sequence[Feature], Path], None]:
        """``write``, with options if it takes them."""
        return partial(self.write, options=options) if self.takes_options else self.write


KINDS: Mapping[str, Kind] = {
    "torchscript": Kind(write_scripted),
    "aot": Kind(write_aot, compiled=True, switches={"ENABLE_AOT": "1"}, devices=("cpu", "cuda"), takes_options=True),
    "aot-unified": Kind(
        write_unified,
        compiled=True,
        switches={"ENABLE_AOT": "2"},
        devices=("cpu", "cuda"),
        takes_options=True,
        whole=True,
    ),
    "trt": Kind(
        write_trt,
        switches={"ENABLE_TRT": "1"},
        devices=("cuda",),
        takes_options=True,
        check=check_tensorrt,
    ),
}

# What `--accelerate` names, and what `ENABLE_AOT` counts.
AUTO = "auto"
AUTO_KINDS = ("torchscript", "aot", "aot-unified")
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


def device_for(kind: str, asked: str | None) -> torch.device:
    """The device that an export of a kind is for.

    Args:
        kind: a key of :data:`KINDS`, or ``auto``.
        asked: as the user names it; by default the kind's usual one.

    Raises:
        UsageError: it is no device, or none of this kind.
        ModelError: it is not there.
    """
    possible = KINDS[kind].devices if kind in KINDS else ("cpu",)
    if asked is None and possible[0] == "cpu":
        return CPU
    device = device_of(asked or possible[0])
    if device.type not in possible:
        others = ", ".join(name for name, each in KINDS.items() if device.type in each.devices)
        raise UsageError(
            f"an export of kind {kind} is for {' or '.join(possible)}, not for {device.type}",
            f"leave --device out, or use one of the kinds {others}",
        )
    return device
