"""Random models over random groups with random MLP options: scripts score as eager models, and training is finite."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recinfer.models import MODELS
from tests.models.parity import check_learns, check_scripted
from tests.synthetic import DEEP, config_of, model_of

WIDTH_8 = ["user_id", "movie_id", "genres", "tags", "age", "popularity", "recency"]
ACTIVATIONS = ["nn.ReLU", "nn.Tanh", "nn.SiLU", "nn.PReLU", "nn.LeakyReLU", "nn.GELU", "Dice", "nn.Sigmoid", ""]
TASKS = ["ctr", "cvr"]


@st.composite
def mlp(draw: st.DrawFn, last: int = 0) -> str:
    units = draw(st.lists(st.integers(3, 7), min_size=0 if last else 1, max_size=2)) + [last] * bool(last)
    norm = draw(st.sampled_from(["", "use_bn: true", "use_ln: true"]))
    dropout = draw(st.sampled_from(["", "dropout_ratio: 0.2"]))
    bias = draw(st.sampled_from(["", "bias: false"]))
    return f'hidden_units: {units} activation: "{draw(st.sampled_from(ACTIVATIONS))}" {norm} {dropout} {bias}'


@st.composite
def encoder(draw: st.DrawFn) -> str:
    most = draw(st.sampled_from(["", "max_seq_length: 2"]))
    return draw(
        st.sampled_from(
            [
                f"din_encoder {{ attn_mlp {{ {draw(mlp())} }} {most} }}",
                f"simple_attention {{ {most} }}",
                f'pooling_encoder {{ pooling_type: "{draw(st.sampled_from(["sum", "mean"]))}" {most} }}',
                f"self_attention_encoder {{ multihead_attn_dim: 8 num_heads: {draw(st.sampled_from([1, 4]))} {most} }}",
                f"multi_window_din_encoder {{ windows_len: [1, 2] attn_mlp {{ {draw(mlp())} }} }}",
            ]
        )
    )


def group(name: str, members: list[str], inside: str = "", kind: str = "DEEP") -> str:
    names = " ".join(f'feature_names: "{member}"' for member in members)
    return f'feature_groups {{ group_name: "{name}" group_type: {kind} {names} {inside} }}'


@st.composite
def deep_group(draw: st.DrawFn, name: str) -> str:
    members = draw(st.lists(st.sampled_from(DEEP), min_size=1, max_size=5, unique=True))
    inside = ""
    if draw(st.booleans()):
        pair = 'feature_names: ["movie_id", "history__movie_id"]'
        inside = f'sequence_groups {{ group_name: "{name}_clicks" {pair} }} sequence_encoders {{ {draw(encoder())} }}'
    return group(name, members, inside)


def towers(draw: st.DrawFn, extra: str = "") -> str:
    out = ""
    for place, name in enumerate(TASKS):
        own = f"mlp {{ {draw(mlp())} }}" if draw(st.booleans()) else ""
        own += f" {extra}" if place else ""
        out += f'task_towers {{ tower_name: "{name}" losses {{ binary_cross_entropy {{}} }} {own} }}'
    return out


@st.composite
def model_text(draw: st.DrawFn, kind: str) -> str:
    some = draw(st.lists(st.sampled_from(WIDTH_8), min_size=2, max_size=4, unique=True))
    sparse, wide = group("sparse", some), group("wide", WIDTH_8[:5], kind="WIDE")
    one = draw(deep_group("deep"))
    final, deep = f"final {{ {draw(mlp())} }}", f"deep {{ {draw(mlp())} }}"
    experts = f"expert_mlp {{ {draw(mlp(6))} }} num_expert: 2"
    dense = draw(deep_group("dense")) if draw(st.booleans()) else ""
    dense_mlp = f"dense_mlp {{ {draw(mlp(8))} }}" if dense else ""
    level = f"""extraction_networks {{ network_name: "l" expert_num_per_task: 1 share_num: 1
      task_expert_net {{ {draw(mlp(6))} }} share_expert_net {{ {draw(mlp(6))} }} }}"""
    fmb = f"wukong_layers {{ lcb_feature_num: 2 fmb_feature_num: 2 feature_num_mlp {{ {draw(mlp())} }} }}"
    block = "n_mask_blocks: 2 mask_block { reduction_ratio: 1.5 hidden_dim: 5 }"
    sequence = group("seq", ["movie_id", "history__movie_id", "history__genres"], kind="SEQUENCE")
    texts = {
        "dbmtl": f"""{one} dbmtl {{ bottom_mlp {{ {draw(mlp())} }} {experts}
          {towers(draw, f'relation_tower_names: "ctr" relation_mlp {{ {draw(mlp())} }}')} }}""",
        "dc2vr": f"{one} dc2vr {{ {experts} {towers(draw)} }}",
        "dcn_v1": f"{one} dcn_v1 {{ cross {{ cross_num: 2 }} {deep} {final} }}",
        "dcn_v2": f"{one} dcn_v2 {{ cross {{ cross_num: 2 low_rank: 2 }} {deep} {final} }}",
        "deepfm": f"{group('fm', some)} {wide} {one} deepfm {{ {deep} {final} }}",
        "dlrm": f"{sparse} {dense} dlrm {{ {dense_mlp} {final} }}",
        "mask_net": f"{one} mask_net {{ mask_net_module {{ {block} top_mlp {{ {draw(mlp())} }} }} }}",
        "mmoe": f"{one} mmoe {{ {experts} gate_mlp {{ {draw(mlp())} }} {towers(draw)} }}",
        "multi_tower": f'{one} multi_tower {{ towers {{ input: "deep" mlp {{ {draw(mlp())} }} }} {final} }}',
        "multi_tower_din": f"""{one} {sequence} multi_tower_din {{ towers {{ input: "deep" }}
          din_towers {{ input: "seq" attn_mlp {{ {draw(mlp())} }} }} {final} }}""",
        "pepnet": f"""{one.replace('"deep"', '"all"')} {draw(deep_group("domain"))} {draw(deep_group("uia"))}
          pepnet {{ ppnet_hidden_units: [5, 4] {towers(draw)} }}""",
        "ple": f"{one} ple {{ {level} {level} {towers(draw)} }}",
        "rocket_launching": f"""{one} rocket_launching {{ feature_based_distillation: true
          booster_mlp {{ {draw(mlp(6))} }} light_mlp {{ {draw(mlp(6))} }} }}""",
        "simple_multi_task": f"{one} simple_multi_task {{ {towers(draw)} }}",
        "wide_and_deep": f"{wide} {one} wide_and_deep {{ {deep} {final} }}",
        "wukong": f"{sparse} {dense} wukong {{ {dense_mlp} {fmb} {fmb} {final} }}",
        "xdeepfm": f"{wide} {one} xdeepfm {{ cin {{ cin_layer_size: [3, 2] }} {deep} {final} }}",
    }
    assert texts.keys() == MODELS.keys()
    dropout = "variational_dropout {}" if draw(st.booleans()) else ""
    return f"{dropout} {texts[kind]}"


@pytest.mark.parametrize("kind", sorted(MODELS))
@settings(max_examples=2)
@given(data=st.data())
def test_scripted_is_eager(kind: str, data: st.DataObject) -> None:
    model, features = model_of(config_of(data.draw(model_text(kind))))
    check_scripted(model, features)
    out = check_learns(model, features, spared=[""])
    assert all(value.isfinite().all() for value in out.values())
