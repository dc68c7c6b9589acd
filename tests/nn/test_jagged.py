"""Jagged functions against loops over rows, empty batches included."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recinfer.nn import jagged

DIM = 3
many_lengths = st.lists(st.integers(0, 4), max_size=6)


def jagged_rows(
    lengths: list[int], seed: int = 0, dim: int = DIM
) -> tuple[list[np.ndarray], torch.Tensor, torch.Tensor]:
    """Random rows of steps, the same steps flat, and their lengths as a parser gives them."""
    rng = np.random.default_rng(seed)
    rows = [rng.normal(size=(length, dim)).astype(np.float32) for length in lengths]
    flat = np.concatenate([*rows, np.zeros((0, dim), np.float32)])
    return rows, torch.from_numpy(flat), torch.tensor(lengths, dtype=torch.int32)


def stacked(rows: list[np.ndarray], dim: int = DIM) -> np.ndarray:
    return np.array(rows, np.float32).reshape(len(rows), dim)


@given(many_lengths)
def test_offsets_of(lengths: list[int]) -> None:
    expected = [sum(lengths[:row]) for row in range(len(lengths) + 1)]
    found = jagged.offsets_of(torch.tensor(lengths, dtype=torch.int32))
    assert found.tolist() == expected and found.dtype == torch.int64


@given(many_lengths, st.data())
def test_align_steps(lengths: list[int], data: st.DataObject) -> None:
    target = data.draw(st.lists(st.integers(0, 4), min_size=len(lengths), max_size=len(lengths)))
    rows, flat, held = jagged_rows(lengths)
    expected = [
        row[place] if place < len(row) else np.zeros(DIM)
        for row, wanted in zip(rows, target, strict=True)
        for place in range(wanted)
    ]
    found = jagged.align_steps(flat, held, torch.tensor(target, dtype=torch.int32))
    np.testing.assert_array_equal(found.numpy(), stacked(expected))


@given(many_lengths, st.booleans())
def test_pool_steps(lengths: list[int], mean: bool) -> None:
    rows, flat, held = jagged_rows(lengths)
    expected = [row.sum(0) / (max(len(row), 1) if mean else 1) for row in rows]
    np.testing.assert_allclose(jagged.pool_steps(flat, held, mean).numpy(), stacked(expected), rtol=1e-5, atol=1e-6)


@given(many_lengths)
def test_first_step(lengths: list[int]) -> None:
    rows, flat, held = jagged_rows(lengths)
    expected = [row[0] if len(row) else np.zeros(DIM) for row in rows]
    np.testing.assert_array_equal(jagged.first_step(flat, held).numpy(), stacked(expected))


@given(many_lengths)
def test_repeat_rows(lengths: list[int]) -> None:
    per_row = np.random.default_rng(1).normal(size=(len(lengths), DIM)).astype(np.float32)
    expected = [per_row[row] for row, length in enumerate(lengths) for _ in range(length)]
    found = jagged.repeat_rows(torch.from_numpy(per_row), torch.tensor(lengths, dtype=torch.int32))
    np.testing.assert_array_equal(found.numpy(), stacked(expected))


@given(many_lengths, st.sampled_from([1.0, 50.0]))
def test_softmax_over_steps(lengths: list[int], scale: float) -> None:
    rows, flat, held = jagged_rows(lengths, dim=1)
    expected: list[float] = []
    for row in rows:
        powers = np.exp(row[:, 0].astype(np.float64) * scale)
        expected += (powers / powers.sum()).tolist() if len(row) else []
    found = jagged.softmax_over_steps(flat * scale, held)
    assert found.shape == (sum(lengths),)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-6)


@given(many_lengths)
def test_weighted_sum(lengths: list[int]) -> None:
    rows, flat, held = jagged_rows(lengths)
    weights = np.random.default_rng(2).normal(size=sum(lengths)).astype(np.float32)
    ends = np.cumsum([0, *lengths])
    expected = [
        sum((w * step for w, step in zip(weights[start:], row, strict=False)), np.zeros(DIM))
        for start, row in zip(ends, rows, strict=False)
    ]
    found = jagged.weighted_sum(flat, torch.from_numpy(weights), held)
    np.testing.assert_allclose(found.numpy(), stacked(expected), rtol=1e-4, atol=1e-5)


@given(many_lengths, st.data())
def test_ids_per_row(lengths: list[int], data: st.DataObject) -> None:
    steps = [data.draw(st.lists(st.integers(0, 3), min_size=length, max_size=length)) for length in lengths]
    flat = torch.tensor([count for row in steps for count in row], dtype=torch.int32)
    found = jagged.ids_per_row(flat, torch.tensor(lengths, dtype=torch.int32))
    assert found.tolist() == [sum(row) for row in steps] and found.dtype == torch.int32


@pytest.mark.parametrize("lengths", [[], [0], [0, 0]])
def test_gradients_pass_through_batches_without_steps(lengths: list[int]) -> None:
    _, flat, held = jagged_rows(lengths)
    flat.requires_grad_(True)
    weights = jagged.softmax_over_steps(flat[:, :1], held)
    jagged.weighted_sum(flat, weights, held).sum().backward()
    assert flat.grad is not None and flat.grad.shape == flat.shape
