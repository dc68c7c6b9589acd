"""Where batches are cut, and the cutting, against row-by-row versions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recinfer.data.batch import BatchSlicer, Chunking, batch_bytes, cut_points, steps_per_row

lengths_of_rows = st.lists(st.integers(0, 6), max_size=30)


def slow_cut(chunking: Chunking, positions: list[int], steps: list[int] | None) -> list[tuple[int, int]]:
    chunks: list[list[int]] = []
    held = 0
    for row, position in enumerate(positions):
        size = steps[row] if steps is not None and chunking.steps is not None else 0
        full = chunking.steps is not None and held + size > chunking.steps
        new_block = chunks and positions[chunks[-1][-1]] // chunking.rows != position // chunking.rows
        if not chunks or new_block or full:
            chunks.append([])
            held = 0
        chunks[-1].append(row)
        held += size
    return [(chunk[0], chunk[-1] + 1) for chunk in chunks]


@given(lengths_of_rows, st.integers(1, 8), st.one_of(st.none(), st.integers(1, 12)), st.data())
def test_cut_points(steps: list[int], rows: int, limit: int | None, data: st.DataObject) -> None:
    chunking = Chunking(rows, limit)
    positions = sorted(data.draw(st.sets(st.integers(0, 40), min_size=len(steps), max_size=len(steps))))
    found = cut_points(chunking, np.array(positions, np.int64), np.array(steps, np.int64))
    assert found == slow_cut(chunking, positions, steps)
    count = len(steps)
    assert cut_points(chunking, count, np.array(steps, np.int64)) == slow_cut(chunking, list(range(count)), steps)
    assert cut_points(chunking, count, None) == slow_cut(chunking, list(range(count)), None)


@given(lengths_of_rows, st.integers(1, 8), st.integers(1, 12), st.integers(1, 40))
def test_cuts_do_not_depend_on_the_batches(steps: list[int], rows: int, limit: int, wanted: int) -> None:
    chunking = Chunking(rows, limit)
    size = chunking.batch_rows(wanted)
    assert size % rows == 0 and (size <= wanted or size == rows)
    whole = cut_points(chunking, len(steps), np.array(steps, np.int64))
    pieces = []
    for first in range(0, len(steps), size):
        part = np.array(steps[first : first + size], np.int64)
        pieces += [(first + low, first + high) for low, high in cut_points(chunking, len(part), part)]
    assert pieces == whole


def test_no_rows_no_chunks() -> None:
    assert cut_points(Chunking(4, 4), 0, np.array([], np.int64)) == []


def rows_to_tensors(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """What a parser makes of rows that hold ids, weighted pairs, vectors, sequences, nested sequences and vectors."""
    out: dict[str, torch.Tensor] = {}

    def put(name: str, values: list[Any], kind: torch.dtype, width: int | None = None) -> None:
        tensor = torch.tensor(values, dtype=kind)
        out[name] = tensor if width is None else tensor.reshape(-1, width)

    def lengths(name: str) -> list[int]:
        return [len(row[name]) for row in rows]

    put("ids.values", [each for row in rows for each in row["ids"]], torch.int64)
    put("ids.lengths", lengths("ids"), torch.int32)
    put("tags.a.values", [key for row in rows for key, _ in row["tags.a"]], torch.int64)
    put("tags.a.weights", [weight for row in rows for _, weight in row["tags.a"]], torch.float32)
    put("tags.a.lengths", lengths("tags.a"), torch.int32)
    put("dense.values", [row["dense"] for row in rows], torch.float32, 2)
    put("steps.values", [step for row in rows for step in row["steps"]], torch.float32, 1)
    put("steps.lengths", lengths("steps"), torch.int32)
    put("nested.values", [each for row in rows for step in row["nested"] for each in step], torch.int64)
    put("nested.lengths", lengths("nested"), torch.int32)
    put("nested.key_lengths", [len(step) for row in rows for step in row["nested"]], torch.int32)
    return out


small = st.integers(0, 99)
some_rows = st.lists(
    st.fixed_dictionaries(
        {
            "ids": st.lists(small, max_size=3),
            "tags.a": st.lists(st.tuples(small, st.integers(0, 9).map(float)), max_size=3),
            "dense": st.tuples(small, small).map(list),
            "steps": st.lists(small.map(lambda each: [each]), max_size=3),
            "nested": st.lists(st.lists(small, max_size=2), max_size=3),
        }
    ),
    max_size=6,
)


@given(some_rows, st.data())
def test_slices_are_what_the_rows_alone_make(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(rows)))
    last = data.draw(st.integers(first, len(rows)))
    cut = BatchSlicer(rows_to_tensors(rows))
    found, expected = cut(first, last), rows_to_tensors(rows[first:last])
    assert found.keys() == expected.keys()
    for key, tensor in expected.items():
        assert found[key].dtype == tensor.dtype and torch.equal(found[key], tensor), key


def test_slices_are_views() -> None:
    tensors = rows_to_tensors(
        [{"ids": [1], "tags.a": [(1, 1.0)], "dense": [0, 0], "steps": [[1]], "nested": [[1]]}] * 4
    )
    for key, tensor in BatchSlicer(tensors)(1, 3).items():
        assert tensor.untyped_storage().data_ptr() == tensors[key].untyped_storage().data_ptr(), key


def test_steps_per_row_takes_the_longest_sequence() -> None:
    tensors = {"a.lengths": torch.tensor([1, 5, 0]), "b.lengths": torch.tensor([3, 2, 0])}
    steps = steps_per_row(tensors, ["a", "b", "missing"])
    assert steps is not None and steps.tolist() == [3, 5, 0]
    assert steps_per_row(tensors, []) is None


def test_bytes_of_a_batch() -> None:
    assert batch_bytes({"a.values": torch.zeros(3, 2), "a.lengths": torch.zeros(4, dtype=torch.int32)}) == 24 + 16
    assert batch_bytes({}) == 0


@pytest.mark.parametrize(("rows", "wanted", "expected"), [(64, 8192, 8192), (100, 8192, 8100), (64, 1, 64)])
def test_batches_are_whole_chunks(rows: int, wanted: int, expected: int) -> None:
    assert Chunking(rows).batch_rows(wanted) == expected
