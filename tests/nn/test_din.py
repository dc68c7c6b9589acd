"""Target attention over jagged steps against the paper's formula over padded ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recinfer.nn.din import DIN
from recinfer.protos.module_pb2 import MLP as MLPMessage


def message(hidden: list[int], **options: Any) -> MLPMessage:
    return MLPMessage(hidden_units=hidden, **options)


def naive(din: DIN, query: torch.Tensor, steps: list[torch.Tensor]) -> torch.Tensor:
    """Pads every row to the longest, builds ``[q, k, q - k, q * k]`` for every step, masks, softmax, sums."""
    longest = max([len(row) for row in steps] + [1])
    width = din.step_dim
    query = torch.cat([query, query.new_zeros(len(query), width - query.shape[1])], dim=1)
    keys = torch.stack([torch.cat([row, row.new_zeros(longest - len(row), width)]) for row in steps])
    queries = query[:, None, :].expand(-1, longest, -1)
    parts = torch.cat([queries, keys, queries - keys, queries * keys], dim=2)
    scores = din.linear(din.mlp(parts.reshape(-1, width * 4))).reshape(-1, longest)
    mask = torch.tensor([[place < len(row) for place in range(longest)] for row in steps])
    weights = torch.where(mask, torch.softmax(scores.masked_fill(~mask, -1e30), dim=1), 0.0)
    return (weights[:, :, None] * keys).sum(1)


def filled(module: torch.nn.Module, seed: int) -> None:
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if tensor.is_floating_point():
                tensor.normal_(0, 0.5)
            if name.endswith("running_var"):
                tensor.abs_().add_(0.5)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"activation": "Dice"},
    {"activation": "nn.PReLU", "bias": False},
    {"use_ln": True},
    {"use_bn": True, "activation": "nn.Tanh"},
    {"use_bn": True, "use_ln": True, "activation": "Dice", "dropout_ratio": [0.5]},
    {"activation": ""},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@settings(max_examples=12)
@given(data=st.data())
def test_equals_the_padded_formula_and_its_gradients(options: dict[str, Any], data: st.DataObject) -> None:
    step_dim = data.draw(st.integers(1, 5), "step_dim")
    query_dim = data.draw(st.integers(1, step_dim), "query_dim")
    hidden = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3), "hidden")
    lengths = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=5), "lengths")
    din = DIN(query_dim, step_dim, message(hidden, **options)).eval()
    filled(din, data.draw(st.integers(0, 99), "seed"))
    query = torch.randn(len(lengths), query_dim, requires_grad=True)
    flat = torch.randn(sum(lengths), step_dim, requires_grad=True)
    inputs = [query, flat, *din.parameters()]
    goal = torch.randn(len(lengths), step_dim)

    found = din(query, flat, torch.tensor(lengths, dtype=torch.int32))
    expected = naive(din, query, list(torch.split(flat, lengths)))

    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    grads = [
        torch.autograd.grad((out * goal).sum(), inputs, allow_unused=True, materialize_grads=True)
        for out in (found, expected)
    ]
    for ours, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("options", [{"activation": "Dice"}, {"use_bn": True}], ids=str)
def test_statistics_of_training_are_those_of_real_steps_only(options: dict[str, Any]) -> None:
    lengths = [3, 0, 4, 1]
    din = DIN(2, 3, message([4], **options))
    query, flat = torch.randn(4, 2), torch.randn(8, 3)
    owner = torch.repeat_interleave(torch.arange(4), torch.tensor(lengths))
    wide = torch.cat([query, torch.zeros(4, 1)], dim=1)[owner]
    linear = din.mlp.layers[0][0]
    before_norm = linear(torch.cat([wide, flat, wide - flat, wide * flat], dim=1))
    din(query, flat, torch.tensor(lengths, dtype=torch.int32))
    (norm,) = [module for module in din.modules() if isinstance(module, torch.nn.BatchNorm1d)]
    assert norm.running_mean is not None and norm.running_var is not None
    torch.testing.assert_close(norm.running_mean, 0.1 * before_norm.mean(0))
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * before_norm.var(0))


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_rows_without_steps_are_zeros(rows: int) -> None:
    din = DIN(2, 3, message([4])).eval()
    out = din(torch.randn(rows, 2), torch.zeros(0, 3), torch.zeros(rows, dtype=torch.int32))
    assert torch.equal(out, torch.zeros(rows, 3))


def test_one_step_gets_all_the_weight() -> None:
    din = DIN(2, 2, message([4])).eval()
    steps = torch.randn(3, 2)
    torch.testing.assert_close(din(torch.randn(3, 2), steps, torch.ones(3, dtype=torch.int32)), steps)
