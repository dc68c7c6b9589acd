"""Dense optimizers: which class, which arguments, which parameters."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from google.protobuf import text_format
from torch import nn

from recinfer.errors import ConfigError
from recinfer.protos.dense_optimizer_pb2 import DenseOptimizer
from recinfer.train.optimizers import build_dense_optimizers


def build(text: str, model: nn.Module) -> Any:
    return build_dense_optimizers(text_format.Parse(text, DenseOptimizer()), model.named_parameters())


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        (
            "sgd_optimizer { lr: 0.1 momentum: 0.5 nesterov: true }",
            lambda p: torch.optim.SGD(p, 0.1, 0.5, nesterov=True),
        ),
        (
            "adagrad_optimizer { lr: 0.1 initial_accumulator_value: 0.2 }",
            lambda p: torch.optim.Adagrad(p, 0.1, initial_accumulator_value=0.2),
        ),
        ("adam_optimizer { lr: 0.1 beta1: 0.8 beta2: 0.7 }", lambda p: torch.optim.Adam(p, 0.1, (0.8, 0.7))),
        ("adamw_optimizer { lr: 0.1 weight_decay: 0.3 }", lambda p: torch.optim.AdamW(p, 0.1, weight_decay=0.3)),
        ("adadelta_optimizer { lr: 0.1 rho: 0.5 }", lambda p: torch.optim.Adadelta(p, 0.1, 0.5)),
        ("rmsprop_optimizer { lr: 0.1 alpha: 0.5 }", lambda p: torch.optim.RMSprop(p, 0.1, 0.5)),
    ],
)
def test_same_steps_as_torch(text: str, reference: Any) -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Linear(3, 2), nn.Linear(3, 2)
    theirs.load_state_dict(ours.state_dict())
    (built,) = build(text, ours)
    other = reference(theirs.parameters())
    for _ in range(3):
        x = torch.randn(4, 3)
        for model, optimizer in ((ours, built.optimizer), (theirs, other)):
            optimizer.zero_grad()
            model(x).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())


def test_patterns_take_their_parameters_first() -> None:
    model = nn.ModuleDict({"bottom": nn.Linear(2, 2), "top": nn.Linear(2, 1)})
    part, rest = build(
        'adam_optimizer { lr: 0.1 } part_optimizers { regex_pattern: "top.*" sgd_optimizer { lr: 0.7 } '
        "exponential_decay_learning_rate { decay_size: 1 decay_factor: 0.5 } }",
        model,
    )
    assert (type(part.optimizer), sorted(part.parameters)) == (torch.optim.SGD, ["top.bias", "top.weight"])
    assert (type(rest.optimizer), sorted(rest.parameters)) == (torch.optim.Adam, ["bottom.bias", "bottom.weight"])
    assert part.schedule.at(2, 0) == pytest.approx(0.175)
    assert rest.schedule.at(2, 0) == pytest.approx(0.1)


def test_patterns_match_whole_names_and_take_the_main_schedule() -> None:
    model = nn.ModuleDict({"bottom": nn.Linear(2, 2), "top": nn.Linear(2, 1)})
    text = (
        "adam_optimizer { lr: 0.1 } exponential_decay_learning_rate { decay_size: 1 decay_factor: 0.5 } "
        'part_optimizers { regex_pattern: ".*[.]bias" sgd_optimizer { lr: 0.8 } } '
        'part_optimizers { regex_pattern: "top.*" sgd_optimizer { lr: 0.4 } constant_learning_rate {} }'
    )
    biases, top, rest = build(text, model)
    assert [sorted(one.parameters) for one in (biases, top, rest)] == [
        ["bottom.bias", "top.bias"],
        ["top.weight"],
        ["bottom.weight"],
    ]
    assert [one.schedule.at(2, 0) for one in (biases, top, rest)] == pytest.approx([0.2, 0.4, 0.025])
    with pytest.raises(ConfigError, match="no dense parameter matches 'top'"):
        build('adam_optimizer {} part_optimizers { regex_pattern: "top" sgd_optimizer {} }', model)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "names no optimizer"),
        ('adam_optimizer { lr: 0.1 } part_optimizers { regex_pattern: "nothing" sgd_optimizer { lr: 1 } }', "nothing"),
        (
            'adam_optimizer { lr: 0.1 } part_optimizers { regex_pattern: "(" sgd_optimizer { lr: 1 } }',
            "regular expression",
        ),
        ('adam_optimizer { lr: 0.1 } part_optimizers { regex_pattern: "w.*" }', r"part_optimizers\[0\] names no"),
        ("sgd_optimizer { lr: 0.1 momentum: 0 nesterov: true }", "sgd_optimizer"),
        ("adam_optimizer { lr: -1 }", "adam_optimizer"),
    ],
)
def test_impossible_optimizers_are_config_errors(text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        build(text, nn.Linear(2, 1))
