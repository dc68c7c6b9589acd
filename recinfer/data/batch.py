"""Parsed batches: their size, and cutting them into chunks that stay in the cache."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from recinfer.data.parser import Tensors


@dataclass(frozen=True)
class Chunking:
    """Where a unit is cut into chunks, fixed in the plan so that any run cuts at the same rows.

    A unit is cut every ``rows`` rows, counted from its start; a block of sequences is cut further, before the row
    that would take a chunk past ``steps`` steps. Rounding in a matrix product depends on its number of rows, so equal
    cuts give equal bytes.

    Attributes:
        rows: most rows of a chunk.
        steps: most sequence steps of a chunk (one row may exceed it alone); None for models without sequences.
    """

    rows: int
    steps: int | None = None

    def batch_rows(self, wanted: int) -> int:
        """A reader's batch size: the multiple of ``rows`` nearest below ``wanted``, at least one."""
        return max(wanted // self.rows, 1) * self.rows


def batch_bytes(tensors: Tensors) -> int:
    """Memory of a batch's tensors in bytes."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def cut_points(
    chunking: Chunking, rows: npt.NDArray[np.int64] | int, steps: npt.NDArray[np.int64] | None
) -> list[tuple[int, int]]:
    """The chunks of a batch as (first, last) positions.

    Args:
        rows: positions of the batch's rows, counted from a place where the unit is cut, [B]; or just their number.
        steps: steps of each row, [B], or None.
    """
    positions = np.arange(rows, dtype=np.int64) if isinstance(rows, int) else rows
    count = len(positions)
    if count == 0:
        return []
    block = positions // chunking.rows
    starts = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), count]
    blocks = list(itertools.pairwise(starts))
    if steps is None or chunking.steps is None:
        return blocks
    return [chunk for first, last in blocks for chunk in _by_steps(first, last, steps, chunking.steps)]


def _by_steps(first: int, last: int, steps: npt.NDArray[np.int64], limit: int) -> Iterator[tuple[int, int]]:
    ends = np.cumsum(steps[first:last])
    start = first
    while start < last:
        done = int(ends[start - first - 1]) if start > first else 0
        stop = first + int(np.searchsorted(ends, done + limit, side="right"))
        stop = max(min(stop, last), start + 1)
        yield start, stop
        start = stop


class BatchSlicer:
    """Cuts a batch's tensors at row borders.

    Args:
        tensors: a parsed batch; keys as in :class:`~recinfer.data.parser.Parser`.
    """

    def __init__(self, tensors: Tensors) -> None:
        self._dense: list[tuple[str, torch.Tensor]] = []
        self._row_offsets: list[tuple[list[tuple[str, torch.Tensor]], npt.NDArray[np.int64]]] = []
        for name in sorted({key.rsplit(".", 1)[0] for key in tensors}):
            self._add(name, tensors)

    def _add(self, name: str, tensors: Tensors) -> None:
        values, lengths = tensors[f"{name}.values"], tensors.get(f"{name}.lengths")
        if lengths is None:
            self._dense.append((f"{name}.values", values))
            return
        self._dense.append((f"{name}.lengths", lengths))
        offsets = _offsets(lengths)
        key_lengths = tensors.get(f"{name}.key_lengths")
        flat = [(f"{name}.values", values)]
        if f"{name}.weights" in tensors:
            flat.append((f"{name}.weights", tensors[f"{name}.weights"]))
        if key_lengths is not None:
            self._row_offsets.append(([(f"{name}.key_lengths", key_lengths)], offsets))
            offsets = _offsets(key_lengths)[offsets]
        self._row_offsets.append((flat, offsets))

    def __call__(self, first: int, last: int) -> Tensors:
        """The rows ``first`` to ``last`` (exclusive) as views of the batch."""
        out = {key: tensor[first:last] for key, tensor in self._dense}
        for flat, offsets in self._row_offsets:
            start, stop = int(offsets[first]), int(offsets[last])
            for key, tensor in flat:
                out[key] = tensor[start:stop]
        return out


def steps_per_row(tensors: Tensors, names: Sequence[str]) -> npt.NDArray[np.int64] | None:
    """The steps of each row, [B]: the longest of the named sequences; None without sequences."""
    lengths = [tensors[f"{name}.lengths"].numpy() for name in names if f"{name}.lengths" in tensors]
    return np.maximum.reduce(lengths).astype(np.int64) if lengths else None


def _offsets(lengths: torch.Tensor) -> npt.NDArray[np.int64]:
    out = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths.numpy(), out=out[1:])
    return out
