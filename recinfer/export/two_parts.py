"""Writes what exports of two parts have in common: scripted lookups, readable code, and the interface between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import fx

from recinfer.export.script import script
from recinfer.export.split import Split, split
from recinfer.features.base import Feature
from recinfer.features.example import ragged_batch
from recinfer.nn.tiling import with_batch_size
from recinfer.predict.compiled_inputs import Interface, interface_of
from recinfer.predict.compiled_scorer import SPARSE

SPARSE_CODE = "gm_sparse.code"
DENSE_CODE = "gm_dense.code"
# Sizes that agree in all of these examples are one size: several, so that two sequences do not agree by chance.
EXAMPLE_ROWS = (7, 13, 29, 41)
LONGEST = 12
STARTS = (9, 5, 7, 8)


@dataclass(frozen=True)
class TwoParts:
    """A model in two parts, the first of which is written.

    Attributes:
        parts: of the model.
        examples: inputs of the dense one, for each of :data:`EXAMPLE_ROWS`.
        interface: between them.
    """

    parts: Split
    examples: list[list[torch.Tensor]]
    interface: Interface


def write_lookups(graph: fx.GraphModule, features: Sequence[Feature], folder: Path) -> TwoParts:
    """Splits a traced model, and writes its sparse part and the code of both.

    Args:
        graph: of the traced model; changed on the way.
        features: those that the model reads.

    Raises:
        ModelError: the model cannot be split.
    """
    # Tiled models alone read the batch size; each row is then a user of its own.
    batches = [
        with_batch_size(ragged_batch(features, rows, longest=partial(longest_of, place), seed=rows), rows)
        for place, rows in enumerate(EXAMPLE_ROWS)
    ]
    parts = split(graph, batches[0])
    (folder / SPARSE_CODE).write_text(parts.sparse.code, encoding="utf-8")
    (folder / DENSE_CODE).write_text(parts.dense.code, encoding="utf-8")
    script(parts.sparse).save(str(folder / SPARSE))
    examples = [inputs_of(parts, batch) for batch in batches]
    with torch.no_grad():
        outputs = list(parts.dense(*examples[0]))
    return TwoParts(parts, examples, interface_of(parts.inputs, examples, outputs))


def longest_of(example: int, sequence: int) -> int:
    """Steps of the longest row of a sequence in an example, which are the width that it is padded to.

    No sequence has one in all examples, and no two of the first eleven agree in all: such a width would be taken for
    fixed, or for another's.
    """
    return 2 + (STARTS[example] + sequence * (example + 1)) % (LONGEST - 1)


def inputs_of(parts: Split, batch: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
    """What the dense part takes for a batch."""
    with torch.no_grad():
        looked_up = parts.sparse(dict(batch), torch.device("cpu"))
    return [looked_up[name].contiguous() for name in parts.inputs]
