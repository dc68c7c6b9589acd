"""What models with several tasks share, and those that are little more: SimpleMultiTask, MMoE and PLE."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from recinfer.data.parser import Parser
from recinfer.errors import ConfigError
from tests.models.parity import check_golden, check_learns, check_scripted
from tests.synthetic import config_of, make_table, model_of

BINARY = "losses { binary_cross_entropy {} }"
TOWERS = f"""
  task_towers {{ tower_name: "ctr" label_name: "clk" {BINARY} mlp {{ hidden_units: 5 activation: "nn.PReLU" }} }}
  task_towers {{ tower_name: "kind" label_name: "kind" num_class: 3 losses {{ softmax_cross_entropy {{}} }} }}
  task_towers {{
    tower_name: "price" label_name: "paid" losses {{ l2_loss {{}} }} weight: 0.5 sample_weight_name: "w"
    task_space_indicator_label: "clk" out_task_space_weight: 0.25 pareto_min_loss_weight: 0.1
  }}
"""
EXPERTS = "expert_mlp { hidden_units: [7, 6] use_ln: true } num_expert: 3"
LEVEL = """extraction_networks {
  network_name: "level" expert_num_per_task: 2 share_num: 1 task_expert_net { hidden_units: 6 }
  share_expert_net { hidden_units: [7, 6] }
}"""
ALONE = 'extraction_networks { network_name: "alone" expert_num_per_task: 2 task_expert_net { hidden_units: 6 } }'
TEXTS = {
    "simple": f"simple_multi_task {{ {TOWERS} }}",
    "mmoe": f"mmoe {{ {EXPERTS} {TOWERS} }}",
    "mmoe gates": f"mmoe {{ {EXPERTS} gate_mlp {{ hidden_units: 4 }} {TOWERS} }}",
    "ple": f"ple {{ {LEVEL} {LEVEL} {TOWERS} }}",
    "ple unshared": f"ple {{ {ALONE} {ALONE} {TOWERS} }}",
}


@pytest.mark.parametrize("name", ["mmoe_taobao", "mmoe_taobao_v1", "ple_taobao"])
def test_golden(shared: Path, name: str) -> None:
    check_golden(shared, name)


@pytest.mark.parametrize("name", TEXTS)
def test_scripted_and_learns(name: str) -> None:
    model, features = model_of(config_of(TEXTS[name], groups=["deep"]))
    check_scripted(model, features)
    # Where no level has shared experts, nothing reads what the shared gate mixes.
    check_learns(model, features, spared=["_extraction_nets.0._shared_gate"] if name == "ple unshared" else [])


def test_predictions_are_named_after_towers() -> None:
    model, features = model_of(config_of(TEXTS["simple"], groups=["deep"]))
    out = model(Parser(features)(make_table(6, 0)))
    shapes = {key: tuple(value.shape) for key, value in out.items()}
    assert shapes == {
        "logits_ctr": (6,),
        "probs_ctr": (6,),
        "logits_kind": (6, 3),
        "probs_kind": (6, 3),
        "y_price": (6,),
    }


def test_tasks_hold_what_the_towers_say() -> None:
    model, _ = model_of(config_of(TEXTS["simple"], groups=["deep"]))
    ctr, kind, price = model.tasks
    assert (ctr.label, ctr.weight, ctr.sample_weight, ctr.task_space, ctr.only_where) == ("clk", 1.0, None, "", None)
    assert (kind.num_class, kind.loss_kinds) == (3, ["softmax_cross_entropy"])
    assert (price.weight, price.sample_weight, price.task_space) == (0.5, "w", "clk")
    assert (price.in_task_space_weight, price.out_task_space_weight) == (1.0, 0.25)
    assert price.pareto_min_loss_weight == pytest.approx(0.1)


def test_a_gate_of_one_expert_leaves_it_as_it_is() -> None:
    text = f"mmoe {{ {EXPERTS.replace('3', '1')} {TOWERS} }}"
    model, features = model_of(config_of(text, groups=["deep"]))
    group = model.embedding_group(batch := Parser(features)(make_table(6, 0)))["deep"]
    tower = model._task_tower[1]  # type: ignore[index]
    want = tower(model.mmoe.expert_mlps[0](group))  # type: ignore[union-attr, index, operator]
    torch.testing.assert_close(model(batch)["logits_kind"], want)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("simple_multi_task {}", "no task_towers"),
        (TEXTS["simple"].replace('"kind"', '"ctr"', 1), "two task towers are called 'ctr'"),
        (TEXTS["simple"].replace("num_class: 3", "num_class: 0"), "'kind' has num_class 0"),
        (TEXTS["mmoe"].replace("num_expert: 3", "num_expert: 0"), "num_expert is 0"),
        (f"ple {{ {TOWERS} }}", "no extraction_networks"),
        (TEXTS["ple"].replace("expert_num_per_task: 2", "expert_num_per_task: 0"), "'level' has no experts"),
        (TEXTS["ple"].replace("[7, 6]", "[6, 7]"), r"task experts end in \[6\] units, shared ones in \[7\]"),
        (f"ple {{ {ALONE.replace('_task: 2', '_task: 2 share_num: 1')} {TOWERS} }}", "no share_expert_net"),
    ],
)
def test_misfits(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        model_of(config_of(text, groups=["deep"]))
