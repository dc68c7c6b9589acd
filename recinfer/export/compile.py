"""Compiles a model, or the dense part of one, ahead of time with AOTInductor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch._inductor import config as inductor
from torch._inductor.cpp_builder import get_cpp_compiler
from torch._inductor.exc import InvalidCxxCompiler
from torch.fx.experimental import _config as shapes
from torch.nn.attention import SDPBackend, sdpa_kernel

from recinfer.errors import ModelError
from recinfer.export.cpp_runtime import SHARED, calls_back, shares_runtime
from recinfer.export.program_operators import program_operators
from recinfer.predict.compiled_inputs import Interface


def compile_ahead(
    module: nn.Module,
    interface: Interface,
    example: Sequence[torch.Tensor],
    path: Path,
    shims: Mapping[Any, list[str]] | None = None,
) -> dict[str, int]:
    """Writes an AOTInductor package for processors like this one, or for GPUs like the one that the module lies on.

    Args:
        module: ``forward(*inputs) -> Dict[str, Tensor]``.
        interface: of the module; its free sizes stay free.
        example: inputs, of several rows and steps, on the module's device.
        path: of the package, ``.pt2``.
        shims: C functions of operators that are not torch's own.

    Returns:
        The operators that it was compiled from, and how often each occurs.

    Raises:
        ModelError: torch.export or the compiler does not take the model, or the compiler links what cannot be loaded.
    """
    free = tuple(
        {place: _free(interface, size) for place, size in enumerate(each.shape) if isinstance(size, str)}
        for each in interface.inputs
    )
    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        raise ModelError(
            "there is no C++ compiler to compile the model with", "install g++, or name one in CXX"
        ) from error
    # One thread: the scorer's threads share the cores.
    settings = {"cpp.threads": 1, "aot_inductor.custom_ops_to_c_shims": dict(shims or {})}
    operators = _compile(module, example, free, path, settings)
    if calls_back(path):
        raise ModelError(
            "the model does not compile: it has operators that machine code cannot call by itself",
            "export without compiling: --accelerate none",
        )
    if not shares_runtime(path):
        _compile(module, example, free, path, {**settings, "aot_inductor.custom_op_libs": [SHARED]})
    if not shares_runtime(path):
        raise ModelError(
            "the C++ compiler links libstdc++ into what it makes: the model would crash beside torch",
            "install a g++ with its shared libstdc++, or name one in CXX",
        )
    return operators


def _compile(
    module: nn.Module, example: Sequence[torch.Tensor], free: Any, path: Path, settings: Mapping[str, Any]
) -> dict[str, int]:
    # `backed_size_oblivious`, else a batch of one row is refused.
    oblivious = shapes.patch(backed_size_oblivious=True)  # type: ignore[attr-defined]
    on_gpu = any(each.is_cuda for each in example)
    # The fused kernels of attention for GPUs want masks of widths that are known.
    attention = sdpa_kernel(SDPBackend.MATH) if on_gpu else nullcontext()
    with torch.no_grad(), oblivious, attention, inductor.patch(dict(settings)):
        try:
            program = torch.export.export(module, tuple(example), dynamic_shapes=free, strict=False)
            # Compiling changes the program.
            operators = program_operators(program)
            torch._inductor.aoti_compile_and_package(program, package_path=str(path))
            return operators
        except (RuntimeError, ValueError, torch._dynamo.exc.UserError) as error:
            tools = "the CUDA toolkit must be there (CUDA_HOME); or " if on_gpu else ""
            raise ModelError(
                f"the model does not compile: {_reason(error)}", f"{tools}export without compiling: --accelerate none"
            ) from error


def _reason(error: BaseException) -> str:
    """What went wrong in a line: of the C++ compiler's words, its first error, else its last line."""
    said = [line.strip() for line in str(error).splitlines() if line.strip()] or [repr(error)]
    output = said[said.index("Output:") + 1 :] if "Output:" in said else []
    errors = [line for line in output if "error" in line.lower()] or output[-1:]
    return ": ".join([said[0], *errors[:1]])


def _free(interface: Interface, size: str) -> Any:
    """A free size as torch.export takes it, with its most where it has one."""
    dynamic: Any = torch.export.Dim.DYNAMIC
    return dynamic(max=interface.sizes[size][1]) if size in interface.sizes else dynamic
