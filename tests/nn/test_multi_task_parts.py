"""Experts, extraction networks, gates and interventions against loops."""

from __future__ import annotations

import pytest
import torch

from recinfer.nn.experts import MultiGateExperts, mix
from recinfer.nn.extraction import ExtractionNetwork
from recinfer.nn.intervention import Intervention, OrthogonalMap
from recinfer.nn.personalized import EPNet, PPNet
from recinfer.protos.module_pb2 import MLP
from recinfer.protos.module_pb2 import ExtractionNetwork as ExtractionMessage
from recinfer.protos.multi_task_model_pb2 import MMoE


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_mix_is_a_weighted_sum() -> None:
    scores, experts = torch.randn(4, 3), [torch.randn(4, 2) for _ in range(3)]
    powers = scores.exp() / scores.exp().sum(1, keepdim=True)
    expected = sum(powers[:, [place]] * expert for place, expert in enumerate(experts))
    close(mix(scores, experts), expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("gated", [True, False])
def test_each_task_has_its_gate(gated: bool) -> None:
    message = MMoE(expert_mlp=MLP(hidden_units=[3]), num_expert=2)
    if gated:
        message.gate_mlp.hidden_units.append(5)
    module = MultiGateExperts(4, message, 2)
    x = torch.randn(6, 4)
    experts = [expert(x) for expert in module.expert_mlps]
    for task, out in enumerate(module(x)):
        gate = module.gate_mlps[task](x) if gated else x
        close(out, mix(module.gate_finals[task](gate), experts))


@pytest.mark.parametrize("last", [True, False])
def test_extraction(last: bool) -> None:
    message = ExtractionMessage(
        expert_num_per_task=2,
        share_num=1,
        task_expert_net=MLP(hidden_units=[3]),
        share_expert_net=MLP(hidden_units=[3]),
    )
    module = ExtractionNetwork([4, 4], 5, message, last)
    tasks, shared = [torch.randn(6, 4), torch.randn(6, 4)], torch.randn(6, 5)
    own = [[expert(x) for expert in experts] for x, experts in zip(tasks, module._task_layers, strict=True)]  # type: ignore[attr-defined]
    common = [expert(shared) for expert in module._shared_layers]
    found, found_shared = module(tasks, shared)
    for task in range(2):
        close(found[task], mix(module._task_gates[task](tasks[task]), own[task] + common))
    if last:
        assert found_shared is shared and "_shared_gate.weight" not in module.state_dict()
    else:
        close(found_shared, mix(module._shared_gate(shared), own[0] + own[1] + common))


def test_embeddings_are_scaled_by_a_gate_that_does_not_train_them() -> None:
    module = EPNet(3, 2, 4, gamma=1.5)
    main, domain = torch.randn(5, 3, requires_grad=True), torch.randn(5, 2)
    first, _, second, _ = module.gate_nu.dense_layers
    hidden = torch.relu(first(torch.cat([domain, main], 1)))
    factors = 1.5 * torch.sigmoid(second(hidden))
    out = module(main, domain)
    close(out, factors * main)
    out.sum().backward()
    assert main.grad is not None
    close(main.grad, factors.detach())


def test_layers_are_scaled_by_gates() -> None:
    module = PPNet(3, 2, tasks=2, hidden_units=[4, 5], activation="nn.Tanh", dropout_ratio=[0.5], gamma=2.0).eval()
    main, user = torch.randn(6, 3), torch.randn(6, 2)
    prior = torch.cat([user, main], 1)
    for task, out in enumerate(module(main, user)):
        x = main
        for layer in (2 * task, 2 * task + 1):
            x = torch.tanh(module.linears[layer](x)) * module.gate_nus[layer](prior)
        close(out, x)


@pytest.mark.parametrize(("before", "after"), [(5, 2), (3, 3), (2, 5), (4, 1)])
def test_orthogonal_map_is_what_torch_makes_of_the_parameters(before: int, after: int) -> None:
    torch.manual_seed(0)
    module = OrthogonalMap(before, after)
    held = module.parametrizations["weight"]  # type: ignore[index]
    with torch.no_grad():
        held.original.add_(
            torch.randn(before, after).tril(-1) if before >= after else torch.randn(before, after).triu(1)
        )
    matrix = module.matrix()
    close(matrix, module.weight)
    small = matrix.T @ matrix if before >= after else matrix @ matrix.T
    close(small, torch.eye(min(before, after)))


def test_intervention_moves_a_representation_inside_the_subspace_only() -> None:
    module = Intervention(5, 3, 2, dropout=0.5, where="tower").eval()
    base, source = torch.randn(4, 5), torch.randn(4, 3, requires_grad=True)
    matrix, other = module.base_rotate_layer.weight, module.source_rotate_layer.weight
    out = module(base, source)
    close(out, base + (base @ matrix - source @ other) @ matrix.T)
    outside = torch.eye(5) - matrix @ matrix.T
    close(out @ outside, base @ outside)
    out.sum().backward()
    assert source.grad is None
