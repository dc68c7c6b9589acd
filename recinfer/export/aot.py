"""The export of kind ``aot``: scripted lookups, and a dense part that is compiled ahead of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import fx

from recinfer.export.compile import compile_ahead
from recinfer.export.compile_options import DEFAULT_OPTIONS, CompileOptions
from recinfer.export.gpu_settings import write_gpu_settings
from recinfer.export.sizes import limited
from recinfer.export.two_parts import EXAMPLE_ROWS, write_lookups
from recinfer.features.base import Feature
from recinfer.predict.compiled_inputs import INTERFACE
from recinfer.predict.compiled_scorer import COMPILED


def write_aot(
    graph: fx.GraphModule, features: Sequence[Feature], folder: Path, options: CompileOptions = DEFAULT_OPTIONS
) -> None:
    """Writes both parts, their code, and the interface between them.

    Args:
        graph: of the traced model; changed on the way.
        features: those that the model reads.
        options: the device of the dense part, and the largest batch, if it shall be limited.

    Raises:
        ModelError: the model cannot be split, or does not compile.
    """
    two = write_lookups(graph, features, folder)
    interface = two.interface
    if options.most_rows:
        interface = limited(interface, two.examples, EXAMPLE_ROWS, options.most_rows)
    write_gpu_settings(folder, options)
    example = [each.to(options.device) for each in two.examples[0]]
    operators = compile_ahead(two.parts.dense.to(options.device), interface, example, folder / COMPILED)
    replace(interface, operators=operators).save(folder / INTERFACE)
