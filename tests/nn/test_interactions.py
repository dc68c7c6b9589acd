"""Factorization machine and dense embeddings against loops."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from recinfer.nn.dense_embedding import AutoDisEmbeddings, DenseEmbeddings, MLPEmbeddings
from recinfer.nn.fm import FactorizationMachine
from recinfer.protos.embedding_pb2 import AutoDisEmbedding, MLPEmbedding


@pytest.mark.parametrize("shape", [(5, 4, 3), (2, 1, 3), (0, 4, 3)])
def test_fm_is_the_sum_over_pairs(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    features = torch.randn(shape)
    expected = torch.zeros(shape[0], shape[2])
    for first, second in itertools.combinations(range(shape[1]), 2):
        expected += features[:, first] * features[:, second]
    torch.testing.assert_close(FactorizationMachine()(features), expected, rtol=1e-4, atol=1e-5)


def test_autodis_is_the_formula() -> None:
    torch.manual_seed(1)
    channels, dim, temperature, keep = 3, 4, 0.3, 0.8
    module = AutoDisEmbeddings(["a", "b"], dim, channels, temperature, keep)
    values = {"a": torch.randn(5, 1), "b": torch.randn(5, 1)}
    out = module(values)
    for name in values:
        direction = getattr(module, f"proj_w_{name}").weight.tolist()
        mixing = getattr(module, f"proj_m_{name}").weight.tolist()
        meta = getattr(module, f"meta_emb_{name}").weight.tolist()
        for row in range(5):
            x = values[name][row, 0].item()
            hidden = [max(x * w, 0.01 * x * w) for w in direction]
            scores = [
                sum(mixing[j][k] * hidden[k] for k in range(channels)) + keep * hidden[j] for j in range(channels)
            ]
            powers = [math.exp(score / temperature) for score in scores]
            expected = [sum(powers[j] / sum(powers) * meta[j][d] for j in range(channels)) for d in range(dim)]
            torch.testing.assert_close(out[name][row], torch.tensor(expected), rtol=1e-4, atol=1e-5)


def test_mlp_embedding_is_a_scaled_direction() -> None:
    module = MLPEmbeddings(["a"], 3)
    x = torch.tensor([[2.0], [-1.0], [0.0]])
    expected = [[factor * w for w in module.proj_w_a.weight.tolist()] for factor in (2, -1, 0)]
    torch.testing.assert_close(module({"a": x})["a"], torch.tensor(expected))


def test_features_of_equal_settings_share_a_module_named_as_the_reference_names_it() -> None:
    autodis = AutoDisEmbedding(num_channels=3, temperature=0.1, keep_prob=0.8)
    module = DenseEmbeddings(
        [
            ("a", autodis, 16),
            ("b", MLPEmbedding(), 16),
            ("c", autodis, 16),
            ("d", autodis, 8),
            ("e", AutoDisEmbedding(num_channels=4, temperature=0.1, keep_prob=0.8), 16),
        ]
    )
    assert list(module.dense_embs) == [
        "autodis#16#3#0_800000#0_100000",
        "mlp#16",
        "autodis#8#3#0_800000#0_100000",
        "autodis#16#4#0_800000#0_100000",
    ]
    out = module({name: torch.randn(2, 1) for name in "abcde"})
    assert {name: tuple(tensor.shape) for name, tensor in out.items()} == {
        **dict.fromkeys("abce", (2, 16)),
        "d": (2, 8),
    }
