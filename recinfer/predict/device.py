"""The device that a model scores on."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from recinfer.data.json_object import read_json_object, shaped
from recinfer.data.parser import Tensors
from recinfer.env import read_environment
from recinfer.errors import ModelError, UsageError

CPU = torch.device("cpu")
# How an export for a GPU multiplies; the file lies in its folder.
GPU_SETTINGS = "gpu.json"


@dataclass(frozen=True)
class GpuSettings:
    """Whether products on a GPU may round their inputs to TF32: cuDNN's, and those of matrices."""

    cudnn_allow_tf32: bool = False
    cuda_matmul_allow_tf32: bool = False


def device_of(name: str) -> torch.device:
    """The device that a user names: ``cpu``, ``cuda`` or ``cuda:n``.

    ``cuda`` alone is the first GPU, and under ``torchrun`` that of the process's rank on its machine.

    Raises:
        UsageError: it is no such name.
        ModelError: it is not there.
    """
    found = re.fullmatch(r"cpu|cuda(?::(\d+))?", name)
    if found is None:
        raise UsageError(f"device {name!r} is unknown", "use cpu, cuda or cuda:n")
    if name == "cpu":
        return CPU
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        raise ModelError(f"device {name} is not here: torch finds no NVIDIA GPU", "use --device cpu, or such a machine")
    index = read_environment().local_rank % count if found[1] is None else int(found[1])
    if index >= count:
        raise ModelError(f"device {name} is not here: torch finds {count} GPU(s), from cuda:0 on", "choose another one")
    return torch.device("cuda", index)


def default_device() -> torch.device:
    """What eager models score on where the user names nothing: a GPU where there is one."""
    return device_of("cuda") if torch.cuda.is_available() else CPU


def allow_tf32(folder: Path) -> None:
    """Multiplies as the export in a folder was made to, in what its compiled part leaves to torch.

    Raises:
        ModelError: its ``gpu.json`` is damaged.
    """
    path, hint = folder / GPU_SETTINGS, "export the model again"
    settings = shaped(read_json_object(path, hint), GpuSettings, path, hint)
    torch.backends.cudnn.allow_tf32 = settings.cudnn_allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = settings.cuda_matmul_allow_tf32


class Place:
    """Runs models on a device with tensors of the CPU. Each thread has a GPU's stream of its own, so that they do not
    wait for each other.

    Args:
        device: where the models lie.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._own = threading.local()

    def run(self, tensors: Tensors, model: Callable[[Tensors], Tensors]) -> Tensors:
        """Moves what a model takes there, and what it gives back.

        Args:
            tensors: of the CPU.
            model: takes and gives tensors of the device.
        """
        with self._stream():
            scores = model({name: each.to(self.device, non_blocking=True) for name, each in tensors.items()})
            return {name: each.cpu() for name, each in scores.items()}

    def _stream(self) -> AbstractContextManager[object]:
        if self.device.type != "cuda":
            return nullcontext()
        if not hasattr(self._own, "stream"):
            self._own.stream = torch.cuda.Stream(self.device)
        # The context also makes the stream's device the current one.
        context: AbstractContextManager[object] = torch.cuda.stream(self._own.stream)
        return context
