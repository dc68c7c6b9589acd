"""The export of kind ``aot-unified``: the whole model, lookups included, compiled ahead of time into one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import fx

from recinfer.export.compile import compile_ahead
from recinfer.export.compile_options import DEFAULT_OPTIONS, CompileOptions
from recinfer.export.gpu_settings import write_gpu_settings
from recinfer.export.operator_shim import lookup_shims
from recinfer.export.script import CODE
from recinfer.export.sizes import limited
from recinfer.export.split import with_arguments
from recinfer.export.two_parts import EXAMPLE_ROWS
from recinfer.export.whole_steps import with_plain_steps
from recinfer.features.base import Feature
from recinfer.features.example import ragged_batch
from recinfer.predict.compiled_inputs import INTERFACE, interface_of
from recinfer.predict.compiled_scorer import COMPILED


def write_unified(
    graph: fx.GraphModule, features: Sequence[Feature], folder: Path, options: CompileOptions = DEFAULT_OPTIONS
) -> None:
    """Writes the model, its code, and what it takes.

    Args:
        graph: of the traced model over batched tables (:mod:`~recinfer.export.batched`); changed on the way.
        features: those that the model reads.
        options: the device, which the graph's tables lie on, and the largest batch, if it shall be limited.

    Raises:
        ModelError: the model does not compile.
    """
    with_plain_steps(graph, features)
    whole, names = with_arguments(graph)
    (folder / CODE).write_text(whole.code, encoding="utf-8")
    batches = [ragged_batch(features, rows, longest=9, seed=rows) for rows in EXAMPLE_ROWS]
    examples = [[batch[name].to(options.device) for name in names] for batch in batches]
    with torch.no_grad():
        outputs = list(whole(*examples[0]))
    interface = interface_of(names, examples, outputs)
    if options.most_rows:
        interface = limited(interface, examples, EXAMPLE_ROWS, options.most_rows)
    write_gpu_settings(folder, options)
    shims = lookup_shims(options.device.type)
    operators = compile_ahead(whole, interface, examples[0], folder / COMPILED, shims)
    replace(interface, operators=operators).save(folder / INTERFACE)
