"""Encoders of sequence groups against one row at a time, without batches, padding or cuts."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from recinfer.errors import ConfigError
from recinfer.nn.sequence_encoders import build_sequence_encoder
from recinfer.protos.seq_encoder_pb2 import SeqEncoderConfig

QUERY, STEP = 4, 4
LENGTHS = [3, 0, 1, 5, 0]
Row = Callable[[Any, torch.Tensor, torch.Tensor, int], torch.Tensor]


def build(text: str, query: int = QUERY, step: int = STEP) -> Any:
    from google.protobuf import text_format

    torch.manual_seed(0)
    message = text_format.Parse(text, SeqEncoderConfig())
    return build_sequence_encoder(message, query, step, "sequence group 's'").eval()


def jagged_rows(query: int = QUERY, step: int = STEP) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(len(LENGTHS), query), torch.randn(sum(LENGTHS), step), torch.tensor(LENGTHS, dtype=torch.int32)


def din(module: Any, query: torch.Tensor, steps: torch.Tensor, length: int) -> torch.Tensor:
    queries = torch.cat([query, torch.zeros(STEP - len(query))]).expand_as(steps)
    hidden = module.mlp(torch.cat([queries, steps, queries - steps, queries * steps], 1))
    return torch.softmax(module.linear(hidden), 0).T @ steps


def simple(module: Any, query: torch.Tensor, steps: torch.Tensor, length: int) -> torch.Tensor:
    return torch.softmax(steps @ query, 0) @ steps


def self_attention(module: Any, query: torch.Tensor, steps: torch.Tensor, length: int) -> torch.Tensor:
    inner: nn.MultiheadAttention = module._multihead_attn
    out, _ = inner(module._query(steps), module._key(steps), module._value(steps))
    return out.sum(0) / length


ENCODERS: dict[str, tuple[str, int, Row]] = {
    "din": ("din_encoder { attn_mlp { hidden_units: [5, 3] activation: 'Dice' use_bn: true } %s }", 3, din),
    "simple": ("simple_attention { %s }", 4, simple),
    "sum": ("pooling_encoder { pooling_type: 'sum' %s }", 0, lambda m, q, steps, n: steps.sum(0)),
    "mean": ("pooling_encoder { %s }", 0, lambda m, q, steps, n: steps.mean(0)),
    "self attention": ("self_attention_encoder { multihead_attn_dim: 6 num_heads: 2 %s }", 0, self_attention),
}


@pytest.mark.parametrize("most", [0, 2, 9])
@pytest.mark.parametrize("name", ENCODERS)
def test_equals_each_row_alone(name: str, most: int) -> None:
    text, query_dim, row = ENCODERS[name]
    module = build(text % f"max_seq_length: {most}", query_dim)
    query, steps, lengths = jagged_rows(query_dim)
    with torch.no_grad():
        out = module(query if query_dim else None, steps, lengths)
        assert out.shape == (len(LENGTHS), module.out_features)
        for place, (start, length) in enumerate(zip([0, *itertools.accumulate(LENGTHS)], LENGTHS, strict=False)):
            own = steps[start : start + (min(length, most) if most else length)]
            want = row(module, query[place], own, length) if length else torch.zeros(module.out_features)
            torch.testing.assert_close(out[place], want.flatten(), rtol=1e-4, atol=1e-5)


def test_multi_window_din_equals_each_row_alone() -> None:
    module = build("multi_window_din_encoder { windows_len: [1, 2, 1] attn_mlp { hidden_units: 5 } }", 3)
    query, steps, lengths = jagged_rows(3)
    assert {name: value.tolist() for name, value in module.named_buffers()} == {
        "windows_len": [1, 2, 1],
        "cumsum_windows_len": [0, 1, 3],
    }
    with torch.no_grad():
        out = module(query, steps, lengths)
        for place, (start, length) in enumerate(zip([0, *itertools.accumulate(LENGTHS)], LENGTHS, strict=False)):
            wide = torch.cat([query[place], torch.zeros(1)])
            want = []
            for first, last in ((0, 1), (1, 3), (3, 4)):
                own = steps[start + first : start + min(last, length)]
                queries = wide.expand_as(own)
                weights = module.active(module.linear(module.mlp(torch.cat([own, queries * own, queries], 1))))
                want.append((weights * own).sum(0) / max(len(own), 1))
            torch.testing.assert_close(out[place], torch.cat([*want, wide]), rtol=1e-4, atol=1e-5)


WINDOWS = "multi_window_din_encoder { windows_len: [1, 2] attn_mlp { hidden_units: 5 } }"


@pytest.mark.parametrize("text", [*(text % "max_seq_length: 2" for text, _, _ in ENCODERS.values()), WINDOWS])
@pytest.mark.parametrize("rows", [0, 3])
def test_no_steps_at_all(text: str, rows: int) -> None:
    module = build(text)
    out = module(torch.ones(rows, QUERY), torch.zeros(0, STEP), torch.zeros(rows, dtype=torch.int32))
    assert out.shape == (rows, module.out_features)
    assert not out[:, : module.out_features - (STEP if "windows" in text else 0)].any()


@pytest.mark.parametrize("text", [*(text % "max_seq_length: 2" for text, _, _ in ENCODERS.values()), WINDOWS])
def test_gradients_are_finite_and_reach_the_steps_that_count(text: str) -> None:
    module = build(text)
    query, steps, lengths = jagged_rows()
    steps.requires_grad_()
    module(query, steps, lengths).square().sum().backward()
    assert steps.grad is not None and all(p.grad.isfinite().all() for p in module.parameters() if p.grad is not None)
    reached = steps.grad.abs().sum(1) > 0
    most = 3 if "windows" in text else 2
    assert reached.tolist() == [step < most for length in LENGTHS for step in range(length)]


@pytest.mark.parametrize(
    ("text", "query", "step", "message"),
    [
        (
            "din_encoder { attn_mlp { hidden_units: 3 } }",
            0,
            4,
            "width 0 and steps of width 4: din_encoder needs a query",
        ),
        ("din_encoder { attn_mlp { hidden_units: 3 } }", 5, 4, "query of width 5 and steps of width 4"),
        ("simple_attention {}", 3, 4, "simple_attention needs equal ones"),
        ("pooling_encoder {}", 3, 0, "'s' has no sequence features"),
        ("pooling_encoder { pooling_type: 'max' }", 0, 4, "pooling_type is 'max'"),
        ("self_attention_encoder { multihead_attn_dim: 6 num_heads: 4 }", 0, 4, "6 is not a multiple of num_heads 4"),
        ("multi_window_din_encoder { attn_mlp { hidden_units: 3 } }", 4, 4, r"windows_len is \[\]"),
        ("multi_window_din_encoder { windows_len: [1, 0] attn_mlp { hidden_units: 3 } }", 4, 4, r"\[1, 0\]"),
    ],
)
def test_groups_that_do_not_fit(text: str, query: int, step: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(text, query, step)
