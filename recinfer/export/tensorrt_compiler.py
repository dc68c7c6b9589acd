"""What compiles a dense part with TensorRT: the calls of torch-tensorrt 2.13, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol

import torch

from recinfer.export.compile_options import CompileOptions
from recinfer.predict.compiled_inputs import CompiledInput, Interface
from recinfer.predict.tensorrt_runtime import check_tensorrt, load_tensorrt

# Fewer operators than this in a row are not worth an engine of their own.
LEAST_OPERATORS = 2


class Compiler(Protocol):
    """Compiles exported programs.

    Attributes:
        device: that it runs on; None for the one that the export is for.
    """

    device: torch.device | None

    def check(self) -> None:
        """Raises a ModelError where it cannot run."""

    def compile(
        self, program: torch.export.ExportedProgram, interface: Interface, example: Sequence[torch.Tensor],
        options: CompileOptions,
    ) -> torch.nn.Module:  # fmt: skip
        """A module that computes the same."""

    def save(self, made: torch.nn.Module, path: Path, example: Sequence[torch.Tensor], ranges: Any) -> None:
        """Writes it so that ``torch.export.load`` reads it."""


class TensorRT:
    """TensorRT, through torch-tensorrt.

    Networks are strongly typed since TensorRT 10: every layer computes in the type that the graph says, so mixed
    precision is in the graph already, and no set of allowed precisions is given.
    """

    device: torch.device | None = None

    def check(self) -> None:
        """Says at once what is missing."""
        check_tensorrt()

    def compile(
        self,
        program: torch.export.ExportedProgram,
        interface: Interface,
        example: Sequence[torch.Tensor],
        options: CompileOptions,
    ) -> torch.nn.Module:
        """Engines for what TensorRT takes; torch runs the rest."""
        tensorrt = load_tensorrt()
        inputs = [
            tensorrt.Input(**input_profile(each, interface, tensor), dtype=tensor.dtype, torch_tensor=tensor)
            for each, tensor in zip(interface.inputs, example, strict=True)
        ]
        debugger = tensorrt.dynamo.Debugger(log_level="graphs") if options.debug else nullcontext()
        with debugger:
            made: torch.nn.Module = tensorrt.dynamo.compile(
                program,
                inputs=inputs,
                device=options.device,
                disable_tf32=not options.matmul_tf32,
                workspace_size=options.workspace_mib << 20,
                min_block_size=LEAST_OPERATORS,
                assume_dynamic_shape_support=True,
                truncate_double=True,
            )
        return made

    def save(self, made: torch.nn.Module, path: Path, example: Sequence[torch.Tensor], ranges: Any) -> None:
        """Writes an exported program that holds the engines."""
        load_tensorrt().save(
            made, str(path), output_format="exported_program", arg_inputs=list(example), dynamic_shapes=ranges
        )


def input_profile(described: CompiledInput, interface: Interface, example: torch.Tensor) -> dict[str, tuple[int, ...]]:
    """The shapes of one input that an engine is made for: least, usual and most; or the one shape that it has."""
    if not any(isinstance(size, str) for size in described.shape):
        return {"shape": tuple(example.shape)}
    ends = [interface.sizes[size] if isinstance(size, str) else (size, size) for size in described.shape]
    return {
        "min_shape": tuple(least for least, _ in ends),
        "opt_shape": tuple(example.shape),
        "max_shape": tuple(most for _, most in ends),
    }
