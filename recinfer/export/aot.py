"""The export of kind ``aot``: scripted lookups, and a dense part that is compiled ahead of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import fx

from recinfer.export.compile import compile_ahead
from recinfer.export.script import script
from recinfer.export.split import split
from recinfer.features.base import Feature
from recinfer.features.example import ragged_batch
from recinfer.predict.compiled_inputs import INTERFACE, interface_of
from recinfer.predict.compiled_scorer import COMPILED, SPARSE

SPARSE_CODE = "gm_sparse.code"
DENSE_CODE = "gm_dense.code"
# Sizes that agree in all of these examples are one size: several, so that two sequences do not agree by chance.
EXAMPLE_ROWS = (7, 13, 29, 41)


def write_aot(graph: fx.GraphModule, features: Sequence[Feature], folder: Path) -> None:
    """Writes both parts, their code, and the interface between them.

    Args:
        graph: of the traced model; changed on the way.
        features: those that the model reads.

    Raises:
        ModelError: the model cannot be split, or does not compile.
    """
    batches = [ragged_batch(features, rows, longest=9, seed=rows) for rows in EXAMPLE_ROWS]
    parts = split(graph, batches[0])
    (folder / SPARSE_CODE).write_text(parts.sparse.code, encoding="utf-8")
    (folder / DENSE_CODE).write_text(parts.dense.code, encoding="utf-8")
    script(parts.sparse).save(str(folder / SPARSE))
    examples = [_inputs(parts.sparse, batch, parts.inputs) for batch in batches]
    with torch.no_grad():
        outputs = list(parts.dense(*examples[0]))
    interface = interface_of(parts.inputs, examples, outputs)
    interface.save(folder / INTERFACE)
    compile_ahead(parts.dense, interface, examples[0], folder / COMPILED)


def _inputs(sparse: fx.GraphModule, batch: Mapping[str, torch.Tensor], names: Sequence[str]) -> list[torch.Tensor]:
    with torch.no_grad():
        looked_up = sparse(dict(batch), torch.device("cpu"))
    return [looked_up[name].contiguous() for name in names]
