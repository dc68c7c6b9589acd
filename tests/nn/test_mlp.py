"""MLPs against their formula, and what their options build."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from recinfer.config.activations import ACTIVATIONS
from recinfer.errors import ConfigError
from recinfer.nn.activation import Dice, build_activation
from recinfer.nn.mlp import MLP
from recinfer.protos.module_pb2 import MLP as MLPMessage


def layers(**options: Any) -> list[list[str]]:
    mlp = MLP.from_config(3, MLPMessage(**{"hidden_units": [4, 2], **options}))
    return [[type(layer).__name__ for layer in stack] for stack in mlp.layers]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [["Linear", "ReLU"]] * 2),
        ({"use_bn": True}, [["Linear", "BatchNorm1d", "ReLU"]] * 2),
        ({"use_ln": True}, [["Linear", "LayerNorm", "ReLU"]] * 2),
        ({"use_bn": True, "use_ln": True}, [["Linear", "BatchNorm1d", "LayerNorm", "ReLU"]] * 2),
        ({"activation": ""}, [["Linear"]] * 2),
        ({"activation": "Dice"}, [["Linear", "Dice"]] * 2),
        ({"activation": "nn.SiLU", "dropout_ratio": [0.2]}, [["Linear", "SiLU", "Dropout"]] * 2),
        ({"dropout_ratio": [0.2, 0.0]}, [["Linear", "ReLU", "Dropout"], ["Linear", "ReLU"]]),
    ],
    ids=str,
)
def test_options_build_their_layers_in_order(options: dict[str, Any], expected: list[list[str]]) -> None:
    assert layers(**options) == expected


@pytest.mark.parametrize(
    ("options", "bias"), [({}, True), ({"bias": False}, False), ({"use_bn": True}, False)], ids=str
)
def test_bias(options: dict[str, Any], bias: bool) -> None:
    mlp = MLP.from_config(3, MLPMessage(hidden_units=[4, 2], **options))
    assert [stack[0].bias is not None for stack in mlp.layers] == [bias, bias]


def test_parameter_names_are_the_reference_s() -> None:
    mlp = MLP.from_config(3, MLPMessage(hidden_units=[4], activation="Dice"))
    assert list(mlp.state_dict()) == [
        "mlp.0.perceptron.0.weight",
        "mlp.0.perceptron.0.bias",
        "mlp.0.perceptron.1.alpha",
        "mlp.0.perceptron.1.bn.running_mean",
        "mlp.0.perceptron.1.bn.running_var",
        "mlp.0.perceptron.1.bn.num_batches_tracked",
    ]


def test_forward_is_the_formula() -> None:
    torch.manual_seed(0)
    mlp = MLP.from_config(3, MLPMessage(hidden_units=[4, 2], activation="nn.Tanh", use_ln=True))
    assert mlp.out_features == 2
    x = torch.randn(5, 3)
    expected = x
    for stack in mlp.layers:
        linear, norm = stack[0], stack[1]
        hidden = expected @ linear.weight.T + linear.bias
        centred = hidden - hidden.mean(1, keepdim=True)
        scaled = centred / torch.sqrt((centred**2).mean(1, keepdim=True) + 1e-5)
        expected = torch.tanh(scaled * norm.weight + norm.bias)
    torch.testing.assert_close(mlp(x), expected)


def test_dice_is_the_formula() -> None:
    torch.manual_seed(0)
    dice = Dice(3).eval()
    with torch.no_grad():
        dice.alpha.copy_(torch.tensor([0.1, -0.5, 2.0]))
        dice.bn.running_mean = torch.tensor([0.3, -0.2, 1.0])
        dice.bn.running_var = torch.tensor([2.0, 0.5, 1.0])
    x = torch.randn(4, 3)
    for row in range(4):
        for unit in range(3):
            mean, variance = dice.bn.running_mean[unit], dice.bn.running_var[unit]
            p = 1 / (1 + torch.exp(-(x[row, unit] - mean) / torch.sqrt(variance + 1e-5)))
            expected = p * x[row, unit] + (1 - p) * dice.alpha[unit] * x[row, unit]
            torch.testing.assert_close(dice(x)[row, unit], expected)


def test_activations_by_name() -> None:
    assert isinstance(build_activation("nn.ReLU", 3), nn.ReLU)
    assert isinstance(build_activation("torch.nn.GELU()", 3), nn.GELU)
    assert build_activation("", 3) is None
    for name in ACTIVATIONS:
        built = build_activation(f"nn.{name}", 3)
        assert type(built).__name__ == name
    with pytest.raises(ConfigError, match=r"'nn\.Softmaxx' is unknown(.|\n)*nn\.ReLU"):
        build_activation("nn.Softmaxx", 3)


def test_errors() -> None:
    with pytest.raises(ConfigError, match="no hidden_units"):
        MLP.from_config(3, MLPMessage())
    with pytest.raises(ConfigError, match="2 layers has 3 dropout_ratio"):
        MLP.from_config(3, MLPMessage(hidden_units=[1, 2], dropout_ratio=[0.1, 0.1, 0.1]))
