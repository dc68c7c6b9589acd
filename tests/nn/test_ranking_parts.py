"""Cross networks, compressed interactions, dot products, masks and Wukong layers against loops."""

from __future__ import annotations

import pytest
import torch

from recinfer.errors import ConfigError
from recinfer.nn.compressed_interaction import CompressedInteraction
from recinfer.nn.cross import Cross, LowRankCross
from recinfer.nn.mask_net import MaskNetModule, aggregation_width
from recinfer.nn.pairwise_dot import PairwiseDot
from recinfer.nn.wukong import FactorizationBlock, LinearCompression, WuKongLayer
from recinfer.protos.module_pb2 import MLP, MaskBlock
from recinfer.protos.module_pb2 import MaskNetModule as MaskNetMessage
from recinfer.protos.module_pb2 import WuKongLayer as WuKongMessage


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_compressed_interaction_is_a_convolution_over_outer_products(rows: int) -> None:
    torch.manual_seed(0)
    module = CompressedInteraction(3, [4, 2, 5])
    features = torch.randn(rows, 3, 6)
    maps, sums = features, []
    for layer in module.cin_layers:
        outer = torch.stack([m * f for m in maps.unbind(1) for f in features.unbind(1)], dim=1)
        maps = layer(outer)
        sums.append(maps.sum(2))
    close(module(features), torch.cat(sums, dim=1))
    assert module.out_features == 11


def test_pairwise_dot_goes_row_by_row_through_the_upper_triangle() -> None:
    features = torch.randn(2, 4, 3)
    expected = [[float(row[i] @ row[j]) for i in range(4) for j in range(i + 1, 4)] for row in features]
    close(PairwiseDot(4)(features), torch.tensor(expected))
    assert not PairwiseDot(4).state_dict()


def test_cross() -> None:
    module = Cross(3, 2)
    with torch.no_grad():
        for bias in module.b:
            bias.normal_()
    first = torch.randn(4, 3)
    x = first
    for layer in range(2):
        scale = x @ module.w[layer].weight[0]  # type: ignore[index]
        x = first * scale[:, None] + module.b[layer] + x
    close(module(first), x)


def test_low_rank_cross() -> None:
    module = LowRankCross(3, 2, 2)
    first = x = torch.randn(4, 3)
    for u, v in zip(module.u_kernels, module.v_kernels, strict=True):
        x = first * (x @ (v.weight @ u.weight).T + v.bias) + x  # type: ignore[operator, union-attr]
    close(module(first), x)


def test_linear_compression_mixes_features_alike_in_each_dimension() -> None:
    module = LinearCompression(3, 2)
    features = torch.randn(4, 3, 5)
    expected = [[sum(module.weight[i, o] * row[i] for i in range(3)) for o in range(2)] for row in features]
    close(module(features), torch.stack([torch.stack(row) for row in expected]))  # type: ignore[arg-type]


def test_factorization_block() -> None:
    module = FactorizationBlock(5, 3, 2, 4, MLP(hidden_units=[6]))
    features = torch.randn(4, 3, 5)
    compressed = torch.stack([sum(module.weight[i, c] * features[:, i] for i in range(3)) for c in range(4)], 1)  # type: ignore[misc]
    dots = torch.stack([(features[:, i] * compressed[:, c]).sum(1) for i in range(3) for c in range(4)], dim=1)
    hidden = module.mlp(torch.nn.functional.layer_norm(dots, (12,), module.norm.weight, module.norm.bias))
    close(module(features), module.feature_out_liner(hidden).reshape(4, 2, 5))


def test_wukong_layer_puts_factorized_features_first() -> None:
    message = WuKongMessage(
        lcb_feature_num=2, fmb_feature_num=3, compressed_feature_num=4, feature_num_mlp=MLP(hidden_units=[6])
    )
    module = WuKongLayer(5, 4, message)
    x = torch.randn(2, 4, 5)
    made = torch.cat([module.fmb(x), module.lcb(x)], dim=1)
    close(module(x), module.norm(made + module.residual_projection(x)))
    assert module.out_features == 5
    assert isinstance(WuKongLayer(5, 5, message).residual_projection, torch.nn.Identity)


@pytest.mark.parametrize("parallel", [True, False])
def test_mask_net(parallel: bool) -> None:
    message = MaskNetMessage(
        n_mask_blocks=2, mask_block=MaskBlock(reduction_ratio=0.5, hidden_dim=3), use_parallel=parallel
    )
    module = MaskNetModule(8, message)
    x = torch.randn(4, 8)
    normed = torch.nn.functional.layer_norm(x, (8,))
    outputs: list[torch.Tensor] = []
    for block in module.mask_blocks:
        given = normed if parallel or not outputs else outputs[-1]
        generator, layer = block.mask_generator, block.ffn  # type: ignore[union-attr]
        mask = generator[2](torch.relu(generator[0](x)))  # type: ignore[index, operator]
        hidden = layer[0](given * mask)  # type: ignore[index, operator]
        outputs.append(torch.relu(torch.nn.functional.layer_norm(hidden, (3,))))
    close(module(x), torch.cat(outputs, 1) if parallel else outputs[-1])
    assert module.out_features == (6 if parallel else 3)


@pytest.mark.parametrize(
    ("ratio", "aggregation", "width", "expected"),
    [(0.7, 0, 10, 7), (0.1, 0, 429, 42), (3, 5, 4, 12), (0, 5, 4, 5), (None, 5, 4, 4)],
)
def test_aggregation_width(ratio: float | None, aggregation: int, width: int, expected: int) -> None:
    message = MaskBlock(aggregation_dim=aggregation)
    if ratio is not None:
        message.reduction_ratio = ratio
    assert aggregation_width(message, width) == expected


def test_masks_without_width() -> None:
    with pytest.raises(ConfigError, match="aggregation layer of width 0"):
        aggregation_width(MaskBlock(reduction_ratio=0.1), 5)
    with pytest.raises(ConfigError, match="no block of a width"):
        MaskNetModule(4, MaskNetMessage(n_mask_blocks=0))
