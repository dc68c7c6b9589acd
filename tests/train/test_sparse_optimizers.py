"""Fused table updates against torch optimizers on plain embedding bags."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from google.protobuf import text_format
from torch import nn
from torchrec import EmbeddingBagCollection, EmbeddingBagConfig, EmbeddingCollection, EmbeddingConfig, KeyedJaggedTensor

from recinfer.distributed.process_group import process_group
from recinfer.distributed.sharding import shard
from recinfer.distributed.shards import local_parts
from recinfer.env import Environment
from recinfer.errors import ConfigError
from recinfer.protos.sparse_optimizer_pb2 import SparseOptimizer
from recinfer.train.sparse_optimizers import build_sparse_optimizer
from recinfer.train.table_optimizer import TableOptimizer

IDS, LENGTHS = torch.tensor([1, 2, 2, 4, 5]), torch.tensor([2, 1, 2])
BAG, STEPS = "bags.embedding_bags.a.weight", "steps.embeddings.s.weight"


class Tables(nn.Module):
    """A pooled table and a sequence table under a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.bags = EmbeddingBagCollection(
            tables=[EmbeddingBagConfig(name="a", embedding_dim=4, num_embeddings=8, feature_names=["a"])]
        )
        self.steps = EmbeddingCollection(
            tables=[EmbeddingConfig(name="s", embedding_dim=4, num_embeddings=8, feature_names=["s"])]
        )
        self.top = nn.Linear(4, 1)

    def forward(self) -> torch.Tensor:
        pooled = self.bags(KeyedJaggedTensor(["a"], IDS, lengths=LENGTHS)).values()
        steps = self.steps(KeyedJaggedTensor(["s"], IDS, lengths=LENGTHS))["s"].values()
        return self.top(pooled).square().sum() + self.top(steps).square().sum()


@pytest.fixture()
def group() -> Iterator[dist.ProcessGroup]:
    with process_group(Environment()) as made:
        yield made


def read(text: str, device: str = "cpu") -> Any:
    return build_sparse_optimizer(text_format.Parse(text, SparseOptimizer()), device)


def train_fused(
    text: str, group: dist.ProcessGroup, steps: int = 3, freeze: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The state dict before and after some steps."""
    torch.manual_seed(0)
    model = Tables()
    if freeze:
        model.bags.embedding_bags["a"].weight.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    sparse = read(text)
    sharded = shard(model, sparse.fused_params, group, torch.device("cpu"))
    table_optimizer = TableOptimizer(sharded.fused_optimizer, sparse.schedule, sparse.initial_state)
    for step in range(steps):
        table_optimizer.set_rate(sparse.schedule.at(step, 0))
        sharded().backward()
    return before, {name: local_parts(tensor)[0][1] for name, tensor in sharded.state_dict().items()}


def train_plain(
    before: dict[str, Any], make: Callable[[Any], torch.optim.Optimizer], steps: int = 3, clamp: float = 0.0
) -> dict[str, Any]:
    bag = nn.EmbeddingBag.from_pretrained(before[BAG].clone(), freeze=False, mode="sum")
    table = nn.Embedding.from_pretrained(before[STEPS].clone(), freeze=False)
    top = nn.Linear(4, 1)
    top.load_state_dict({"weight": before["top.weight"], "bias": before["top.bias"]})
    optimizer = make([bag.weight, table.weight])
    offsets = torch.tensor([0, 2, 3])
    for _ in range(steps):
        optimizer.zero_grad()
        pooled, found = bag(IDS, offsets), table(IDS)
        if clamp:
            for out in (pooled, found):
                out.register_hook(lambda gradient: gradient.clamp(-clamp, clamp))
        (top(pooled).square().sum() + top(found).square().sum()).backward()
        optimizer.step()
    return {BAG: bag.weight.detach(), STEPS: table.weight.detach()}


@pytest.mark.parametrize(
    ("text", "make", "clamp"),
    [
        ("sgd_optimizer { lr: 0.1 }", lambda p: torch.optim.SGD(p, 0.1), 0.0),
        (
            "sgd_optimizer { lr: 0.1 gradient_clipping: true max_gradient: 0.01 }",
            lambda p: torch.optim.SGD(p, 0.1),
            0.01,
        ),
        ("adagrad_optimizer { lr: 0.1 }", lambda p: torch.optim.Adagrad(p, 0.1, eps=1e-8), 0.0),
        (
            "adagrad_optimizer { lr: 0.1 initial_accumulator_value: 0.5 }",
            lambda p: torch.optim.Adagrad(p, 0.1, eps=1e-8, initial_accumulator_value=0.5),
            0.0,
        ),
    ],
)
def test_fused_equals_torch(text: str, make: Any, clamp: float, group: dist.ProcessGroup) -> None:
    before, after = train_fused(text, group)
    expected = train_plain(before, make, clamp=clamp)
    assert sorted(after) == sorted(before)
    for name in (BAG, STEPS):
        assert not torch.equal(after[name], before[name])
        assert not clamp or not torch.allclose(train_plain(before, make)[name], expected[name], rtol=1e-3)
        torch.testing.assert_close(after[name], expected[name], rtol=1e-5, atol=1e-6)


def test_rowwise_adagrad_shares_one_rate_in_a_row(group: dist.ProcessGroup) -> None:
    before, after = train_fused("rowwise_adagrad_optimizer { lr: 0.1 }", group, steps=1)
    top = nn.Linear(4, 1)
    top.load_state_dict({"weight": before["top.weight"], "bias": before["top.bias"]})
    weight = before[STEPS].clone().requires_grad_()
    top(weight[IDS]).square().sum().backward()
    gradient = weight.grad
    assert gradient is not None
    rate = 0.1 / (gradient.square().mean(dim=1, keepdim=True).sqrt() + 1e-8)
    torch.testing.assert_close(after[STEPS], before[STEPS] - rate * gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", ["NONE", "L2", "DECOUPLE"])
def test_rowwise_adagrad_decays_weights_as_asked(mode: str, group: dist.ProcessGroup) -> None:
    text = f"rowwise_adagrad_optimizer {{ lr: 0.1 weight_decay: 0.3 weight_decay_mode: {mode} }}"
    before, after = train_fused(text, group, steps=1)
    top = nn.Linear(4, 1)
    top.load_state_dict({"weight": before["top.weight"], "bias": before["top.bias"]})
    weight = before[STEPS].clone().requires_grad_()
    top(weight[IDS]).square().sum().backward()
    assert weight.grad is not None
    old = before[STEPS]
    gradient = weight.grad + (0.3 * old if mode == "L2" else 0)
    rate = 0.1 / (gradient.square().mean(dim=1, keepdim=True).sqrt() + 1e-8)
    expected = old - rate * gradient - (0.1 * 0.3 * old if mode == "DECOUPLE" else 0)
    used = sorted(set(IDS.tolist()))
    torch.testing.assert_close(after[STEPS][used], expected[used], rtol=1e-5, atol=1e-6)


def test_schedule_reaches_the_kernel(group: dist.ProcessGroup) -> None:
    text = "sgd_optimizer { lr: 0.1 } manual_step_learning_rate { schedule_sizes: 1 learning_rates: 0.0 }"
    before, after = train_fused(text, group, steps=4)
    expected = train_plain(before, lambda p: torch.optim.SGD(p, 0.1), steps=2)
    torch.testing.assert_close(after[BAG], expected[BAG], rtol=1e-5, atol=1e-6)


def test_frozen_table_stays(group: dist.ProcessGroup) -> None:
    before, after = train_fused("adagrad_optimizer { lr: 0.1 }", group, freeze=True)
    assert torch.equal(after[BAG], before[BAG])
    assert not torch.equal(after[STEPS], before[STEPS])


@pytest.mark.parametrize("name", ["adam", "lars_sgd", "lamb", "partial_rowwise_adam", "partial_rowwise_lamb"])
def test_gpu_only_optimizers_say_so(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name}_optimizer is not supported on CPU.*\n.*adagrad_optimizer"):
        read(f"{name}_optimizer {{ lr: 0.1 }}")
    assert read(f"{name}_optimizer {{ lr: 0.1 }}", "cuda").fused_params["optimizer"]


@pytest.mark.parametrize("text", ["", "adadelta_optimizer { lr: 0.1 }", "rmsprop_optimizer { lr: 0.1 }"])
def test_missing_or_unknown_optimizers_are_config_errors(text: str) -> None:
    with pytest.raises(ConfigError, match="sparse_optimizer"):
        read(text, "cuda")
