"""Stands in for TensorRT on the CPU: the same path, whose programs torch runs itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from recinfer.export.compile_options import CompileOptions
from recinfer.predict.compiled_inputs import Interface
from recinfer.predict.tensorrt_scorer import TensorRTScorer


class StandIn:
    """Keeps the exported program; refuses sizes outside its profile, as an engine does.

    Attributes:
        seen: the program, interface, example and options of each call.
    """

    device: torch.device | None = torch.device("cpu")

    def __init__(self) -> None:
        self.seen: list[tuple[torch.export.ExportedProgram, Interface, Sequence[torch.Tensor], CompileOptions]] = []

    def check(self) -> None:
        """It runs anywhere."""

    def compile(
        self,
        program: torch.export.ExportedProgram,
        interface: Interface,
        example: Sequence[torch.Tensor],
        options: CompileOptions,
    ) -> torch.nn.Module:
        """The program as a module."""
        self.seen.append((program, interface, example, options))
        return program.module()

    def save(self, made: torch.nn.Module, path: Path, example: Sequence[torch.Tensor], ranges: Any) -> None:
        """The program as it is: torch.export checks the ranges of its sizes when it runs."""
        torch.export.save(self.seen[-1][0], path)


class StandInScorer(TensorRTScorer):
    """Scores with what :class:`StandIn` saved."""

    load = staticmethod(torch.export.load)
