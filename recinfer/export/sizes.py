"""How large the free sizes of a compiled model's inputs may get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from recinfer.predict.compiled_inputs import Interface

# Compilers treat sizes of 0 and 1 apart from all others, so that a batch is filled up to 2 of everything.
LEAST = 2


def free_sizes(interface: Interface, examples: Sequence[Sequence[torch.Tensor]]) -> dict[str, tuple[int, ...]]:
    """Each free size in each of the examples, by name."""
    found = [interface.sizes_of(example) for example in examples]
    return {name: tuple(each[name] for each in found) for name in found[0]}


def limited(
    interface: Interface, examples: Sequence[Sequence[torch.Tensor]], rows: Sequence[int], most_rows: int
) -> Interface:
    """The interface for batches of so many rows at most, with the most of those sizes that follow from the batch's.

    Args:
        examples: inputs.
        rows: of these examples.
    """
    sizes = {}
    for name, found in free_sizes(interface, examples).items():
        more = rows_apart(found, rows)
        if more is not None:
            sizes[name] = (0, most_rows + more)
    return replace(interface, most_rows=most_rows, sizes=sizes)


def size_ranges(
    sizes: Mapping[str, Sequence[int]],
    rows: Sequence[int],
    longest: int,
    *,
    most_rows: int,
    most_steps: int,
) -> dict[str, tuple[int, int]]:
    """The least and the most of each free size.

    A size that is the batch and a constant more is known exactly; one that never passes the longest sequence of the
    examples is a padded width; any other counts the steps of a whole batch.

    Args:
        sizes: in examples, by name.
        rows: of these examples.
        longest: sequence in them.
        most_rows: of a batch.
        most_steps: of a sequence.
    """
    ranges, most_steps = {}, max(most_steps, LEAST)
    for name, found in sizes.items():
        more = rows_apart(found, rows)
        if more is not None:
            ranges[name] = (LEAST + more, most_rows + more)
        elif max(found) <= longest:
            ranges[name] = (LEAST, most_steps)
        else:
            ranges[name] = (LEAST, most_rows * most_steps)
    return ranges


def rows_apart(found: Sequence[int], rows: Sequence[int]) -> int | None:
    """By how much a size always exceeds the batch; None where that is no constant."""
    apart = {size - each for size, each in zip(found, rows, strict=True)}
    return apart.pop() if len(apart) == 1 else None
