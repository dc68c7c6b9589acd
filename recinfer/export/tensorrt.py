"""The export of kind ``trt``: scripted lookups on the CPU, and a dense part that TensorRT compiles for this GPU."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import fx
from torch.fx.experimental import _config as shapes

from recinfer.errors import ModelError
from recinfer.export.compile_options import TRT_ROWS, CompileOptions
from recinfer.export.gpu_settings import write_gpu_settings
from recinfer.export.program_operators import program_operators
from recinfer.export.sizes import free_sizes, size_ranges
from recinfer.export.tensorrt_compiler import Compiler, TensorRT
from recinfer.export.timing import milliseconds
from recinfer.export.two_parts import EXAMPLE_ROWS, LONGEST, TwoParts, inputs_of, write_lookups
from recinfer.features.base import Feature
from recinfer.features.example import ragged_batch
from recinfer.predict.compiled_inputs import INTERFACE, Interface
from recinfer.predict.scorer import DEFAULT_ROWS, DEFAULT_STEPS
from recinfer.predict.tensorrt_scorer import ENGINE

TIMING = "trt_timing.json"
SEEDS = 100


def write_trt(
    graph: fx.GraphModule,
    features: Sequence[Feature],
    folder: Path,
    options: CompileOptions,
    compiler: Compiler | None = None,
) -> None:
    """Writes both parts, their code, and the interface between them.

    Args:
        graph: of the traced model; changed on the way.
        features: those that the model reads.
        compiler: what stands in for TensorRT.

    Raises:
        ModelError: the model cannot be split or does not compile, or there is no TensorRT.
    """
    compiler = compiler or TensorRT()
    compiler.check()
    two = write_lookups(graph, features, folder)
    interface = _profiled(two, features, options)
    write_gpu_settings(folder, options)
    device = compiler.device or options.device
    example = [each.to(device) for each in _usual_inputs(two, interface, features, options)]
    dense = tuple_outputs(two.parts.dense).to(device)
    program = export_dense(dense, interface, example)
    interface = replace(interface, operators=program_operators(program))
    interface.save(folder / INTERFACE)
    made = compile_program(program, interface, example, options, compiler, folder / ENGINE)
    if options.debug:
        times = {"torch_ms": milliseconds(dense, example), "tensorrt_ms": milliseconds(made, example)}
        (folder / TIMING).write_text(json.dumps(times, indent=2) + "\n", encoding="utf-8")


def export_dense(
    dense: torch.nn.Module, interface: Interface, example: Sequence[torch.Tensor]
) -> torch.export.ExportedProgram:
    """The dense part as a program whose free sizes stay free.

    Raises:
        ModelError: torch.export does not take the model.
    """
    with _refused_by_compiler():
        return torch.export.export(dense, tuple(example), dynamic_shapes=dynamic_shapes(interface), strict=False)


def compile_program(
    program: torch.export.ExportedProgram,
    interface: Interface,
    example: Sequence[torch.Tensor],
    options: CompileOptions,
    compiler: Compiler,
    path: Path,
) -> torch.nn.Module:
    """Compiles a dense part and saves it; returns what was saved, as a module.

    Raises:
        ModelError: TensorRT does not take the model.
    """
    with _refused_by_compiler():
        made = compiler.compile(program, interface, example, options)
        compiler.save(made, path, example, dynamic_shapes(interface))
    return made


@contextmanager
def _refused_by_compiler() -> Iterator[None]:
    # `backed_size_oblivious`, else export adds guards that tell sizes of 1 apart.
    oblivious = shapes.patch(backed_size_oblivious=True)  # type: ignore[attr-defined]
    try:
        with torch.no_grad(), oblivious:
            yield
    except (RuntimeError, ValueError, AssertionError, TypeError, torch._dynamo.exc.UserError) as error:
        said = str(error).strip().splitlines()
        raise ModelError(
            f"TensorRT does not compile the model: {said[0] if said else repr(error)}", "export without --trt"
        ) from error


def dynamic_shapes(interface: Interface) -> tuple[dict[int, object], ...]:
    """The free sizes of each input, as torch.export takes them."""
    return tuple(
        {
            place: torch.export.Dim.DYNAMIC(min=interface.sizes[size][0], max=interface.sizes[size][1])
            for place, size in enumerate(each.shape)
            if isinstance(size, str)
        }
        for each in interface.inputs
    )


def tuple_outputs(dense: fx.GraphModule) -> fx.GraphModule:
    """The dense part with its predictions as a tuple, since compilers do not all keep a dict."""
    output = next(iter(reversed(dense.graph.nodes)))
    output.args = (tuple(output.args[0].values()),)
    output.type = None
    dense.recompile()
    return dense


def _profiled(two: TwoParts, features: Sequence[Feature], options: CompileOptions) -> Interface:
    """The interface with the least and the most of every free size."""
    rows, sizes = options.most_rows or TRT_ROWS, free_sizes(two.interface, two.examples)
    ranges = size_ranges(sizes, EXAMPLE_ROWS, LONGEST, most_rows=rows, most_steps=options.steps(features))
    return replace(two.interface, most_rows=rows, sizes=ranges)


def _usual_inputs(
    two: TwoParts, interface: Interface, features: Sequence[Feature], options: CompileOptions
) -> list[torch.Tensor]:
    """Inputs of the sizes that prediction has most often, which TensorRT tunes for; no two sizes agree by chance."""
    longest, rows = options.steps(features), min(DEFAULT_ROWS, options.most_rows or TRT_ROWS)
    if any(feature.is_sequence for feature in features):
        rows = min(rows, max(2 * DEFAULT_STEPS // longest, 4))
    for seed in range(SEEDS):
        batch = ragged_batch(features, rows, longest=longest, seed=seed)
        inputs = inputs_of(two.parts, batch)
        sizes = interface.sizes_of(inputs)
        within = all(least <= sizes[name] <= most for name, (least, most) in interface.sizes.items())
        if within and len(set(sizes.values())) == len(sizes):
            return inputs
    raise ModelError(
        f"no example of {rows} rows and {longest} steps fits the model's profile", "choose a larger --max-batch-size"
    )
