"""Groups, features and layers that do not fit their model: each broken config gives exactly the problems expected."""

from __future__ import annotations

import pytest

from recinfer.config.check import check_config
from recinfer.config.load import parse_pipeline_config
from recinfer.config.rules import RULES

FEATURES = """
data_config { dataset_type: ParquetDataset label_fields: ["clk", "buy"] fg_mode: FG_NONE }
feature_configs { id_feature { feature_name: "user" embedding_dim: 8 num_buckets: 9 } }
feature_configs { id_feature { feature_name: "item" embedding_dim: 8 num_buckets: 9 } }
feature_configs { id_feature { feature_name: "city" embedding_dim: 4 num_buckets: 9 } }
feature_configs { raw_feature { feature_name: "price" } }
feature_configs { raw_feature { feature_name: "age" embedding_dim: 8 autodis { num_channels: 3 } } }
feature_configs {
  sequence_feature {
    sequence_name: "clicks" sequence_length: 20
    features { id_feature { feature_name: "item" embedding_dim: 8 num_buckets: 9 } }
    features { raw_feature { feature_name: "price" } }
  }
}
"""
LOSS = "losses { binary_cross_entropy {} }"
MLP = "hidden_units: 8"
LEVEL = f'network_name: "l" task_expert_net {{ {MLP} }}'
BLOCKS = "mask_block { hidden_dim: 4 }"
FMB = f"feature_num_mlp {{ {MLP} }}"
DEEP_AT = "model_config.feature_groups[0], group `deep`"


def group(name: str, members: str, kind: str = "DEEP", more: str = "") -> str:
    names = " ".join(f'feature_names: "{member}"' for member in members.split())
    return f'feature_groups {{ group_name: "{name}" group_type: {kind} {names} {more} }}'


DEEP = group("deep", "user item")
WIDE = group("wide", "user item", "WIDE")
SEQ = group("seq", "item clicks__item", "SEQUENCE")


def tower(more: str = "", name: str = "ctr", label: str = 'label_name: "clk"', loss: str = LOSS) -> str:
    return f'task_towers {{ tower_name: "{name}" {label} {loss} {more} }}'


def encoded(members: str, encoder: str, name: str = 'group_name: "s"') -> str:
    names = " ".join(f'feature_names: "{member}"' for member in members.split())
    return group("deep", "user", more=f"sequence_groups {{ {name} {names} }} sequence_encoders {{ {encoder} }}") + dcn()


def dcn(deep: str = MLP) -> str:
    return f"dcn_v1 {{ cross {{}} deep {{ {deep} }} final {{ {MLP} }} }} {LOSS}"


def masked(net: str, members: str = "user") -> str:
    return f"{group('deep', members)} mask_net {{ mask_net_module {{ {net} }} }} {LOSS}"


def ple(level: str) -> str:
    return f"{DEEP} ple {{ extraction_networks {{ {LEVEL} {level} }} {tower()} }}"


def dlrm(sparse: str, dense_mlp: str) -> str:
    groups = group("sparse", sparse) + group("dense", "price")
    return f"{groups} dlrm {{ {dense_mlp} final {{ {MLP} }} }} {LOSS}"


def wukong(layer: str) -> str:
    return f"{DEEP} wukong {{ {layer} final {{ {MLP} }} }} {LOSS}"


def task(more: str, loss: str = LOSS) -> str:
    return f"{DEEP} simple_multi_task {{ {tower(more, loss=loss)} }}"


def dc2vr(rank: str) -> str:
    first, second = tower("low_rank_dim: 1", "ctr"), tower(f'{rank} intervention_tower_names: "ctr"', "cvr")
    return f"{DEEP} dc2vr {{ bottom_mlp {{ {MLP} }} {first} {second} }}"


WIDE_TEXT = f"wide_and_deep {{ deep {{ {MLP} }} }} {LOSS}"
ENCODER_AT = "model_config.feature_groups[0].sequence_encoders[0]"
DIN = f'din_encoder {{ input: "s" attn_mlp {{ {MLP} }} }}'

GOOD = {
    "wide_and_deep": f"{WIDE} {DEEP} {WIDE_TEXT}",
    "deepfm without fm": f"{DEEP} deepfm {{ deep {{ {MLP} }} }} {LOSS}",
    "dlrm": dlrm("user item", f"dense_mlp {{ {MLP} }}"),
    "dc2vr": dc2vr("low_rank_dim: 7"),
    "encoder": encoded("item clicks__item", DIN),
    "unnamed sequence": encoded("item clicks__item", f"din_encoder {{ attn_mlp {{ {MLP} }} }}", ""),
    "wukong": wukong(f"wukong_layers {{ lcb_feature_num: 0 fmb_feature_num: 2 {FMB} }}"),
    "ple": ple(f"expert_num_per_task: 1 share_num: 1 share_expert_net {{ {MLP} }}"),
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_what_fits(text: str) -> None:
    assert check_config(parse_pipeline_config(f"{FEATURES} model_config {{ {text} }}")) == []


# The rule, the model, every expected problem as text.
CASES: list[tuple[str, str, list[str]]] = [
    (
        "needed_groups_exist",
        f"{WIDE} {group('dep', 'user')} {WIDE_TEXT}",
        [
            "`wide_and_deep` reads a feature group `deep`, which is not defined: model_config.feature_groups "
            "(did you mean `dep`?)"
        ],
    ),
    (
        "groups_read_as_vectors_are_plain",
        f"{SEQ} {dcn()}",
        [
            "`dcn_v1` reads group `seq` as one vector per row, and it is a SEQUENCE group: "
            "model_config.feature_groups[0] (make it group_type: DEEP, with sequence_groups and an encoder for "
            "sequences)"
        ],
    ),
    (
        "tower_models_have_towers",
        f'{DEEP} multi_tower {{ towers {{ input: "deep" }} towers {{ input: "deep" mlp {{ {MLP} }} }} '
        f"final {{ {MLP} }} }} {LOSS}",
        [
            "two towers of different shape read group `deep`: model_config.multi_tower.towers[1] "
            "(a group has one tower: remove the other)"
        ],
    ),
    (
        "tower_models_have_towers",
        f"{DEEP} multi_tower {{ final {{ {MLP} }} }} {LOSS}",
        ["`towers` is empty: model_config.multi_tower (add one per feature group)"],
    ),
    (
        "plain_groups_hold_no_sequences",
        group("deep", "user clicks__item") + dcn(),
        [
            f"DEEP groups hold no sequence features, and feature `clicks__item` is one: {DEEP_AT} "
            "(put it into a SEQUENCE group, or into sequence_groups with an encoder)"
        ],
    ),
    (
        "wide_groups_hold_ids",
        f"{group('wide', 'user price', 'WIDE')} {DEEP} {WIDE_TEXT}",
        [
            "WIDE groups hold ids, and feature `price` is dense: model_config.feature_groups[0], group `wide` "
            "(give it boundaries, or put it into a deep group)"
        ],
    ),
    (
        "sequence_groups_hold_plain_numbers",
        f"{DEEP} {group('seq', 'age clicks__item', 'SEQUENCE')} {dcn()}",
        [
            "sequence groups take dense features as they are, and feature `age` has an embedding of its own: "
            "model_config.feature_groups[1], group `seq` (give it boundaries, or name it in deep groups only)"
        ],
    ),
    (
        "deep_groups_hold_the_sequence_groups",
        group(
            "deep",
            "user",
            "WIDE",
            f'sequence_groups {{ feature_names: ["item", "clicks__item"] }} '
            f"sequence_encoders {{ din_encoder {{ attn_mlp {{ {MLP} }} }} }}",
        )
        + dcn(),
        [f"a WIDE group holds no sequence_groups and sequence_encoders: {DEEP_AT} (make it group_type: DEEP)"],
    ),
    (
        "sequence_groups_are_encoded",
        group("deep", "user", more='sequence_groups { feature_names: "clicks__item" }') + dcn(),
        [
            f"no encoder reads sequence group `deep`: {DEEP_AT} (add sequence_encoders for it, "
            "for example din_encoder { ... })"
        ],
    ),
    (
        "sequence_groups_are_encoded",
        group("deep", "user", more="sequence_encoders { pooling_encoder {} }") + dcn(),
        [
            f"sequence_encoders without sequence_groups have nothing to read: {DEEP_AT} "
            "(add a block sequence_groups with the features of the sequence)"
        ],
    ),
    (
        "several_sequence_groups_have_names",
        group(
            "deep",
            "user",
            more='sequence_groups { feature_names: "clicks__item" } '
            'sequence_groups { group_name: "s" feature_names: "clicks__price" } '
            'sequence_encoders { pooling_encoder { input: "s" } } '
            'sequence_encoders { pooling_encoder { input: "deep" } }',
        )
        + dcn(),
        [f"1 of 2 sequence groups have no group_name: {DEEP_AT} (name each of several sequence groups)"],
    ),
    (
        "sequence_names_are_unique",
        encoded("item clicks__item", DIN) + group("s", "item clicks__item", "SEQUENCE"),
        [
            f"2 feature groups have a sequence group `s`: {DEEP_AT}; model_config.feature_groups[1], group `s` "
            "(give each a group_name of its own)"
        ],
    ),
    (
        "encoders_fit_their_sequences",
        encoded("clicks__item clicks__price", DIN),
        [
            "sequence group `s` has no query: `clicks__item` 8, `clicks__price` 1 are all sequences: "
            f"{ENCODER_AT}.din_encoder, group `deep` (din_encoder needs plain features that the steps are compared "
            "with)"
        ],
    ),
    (
        "encoders_fit_their_sequences",
        encoded("item user clicks__item", DIN),
        [
            "sequence group `s` has a query of width 16 and steps of width 8 (query `item` 8, `user` 8; steps "
            f"`clicks__item` 8): {ENCODER_AT}.din_encoder, group `deep` "
            "(din_encoder needs steps at least as wide as the query)"
        ],
    ),
    (
        "encoders_fit_their_sequences",
        encoded("city clicks__item", 'simple_attention { input: "s" }'),
        [
            "sequence group `s` has a query of width 4 and steps of width 8 (query `city` 4; steps `clicks__item` 8): "
            f"{ENCODER_AT}.simple_attention, group `deep` (simple_attention needs a query as wide as the steps)"
        ],
    ),
    (
        "encoders_fit_their_sequences",
        encoded("item", 'pooling_encoder { input: "s" }'),
        [
            f"sequence group `s` has no sequence features, only `item` 8: {ENCODER_AT}.pooling_encoder, group `deep` "
            "(pooling_encoder needs the features of a sequence)"
        ],
    ),
    (
        "din_towers_fit_their_sequences",
        f'{DEEP} {group("seq", "clicks__item", "SEQUENCE")} multi_tower_din {{ towers {{ input: "deep" }} '
        f'din_towers {{ input: "seq" attn_mlp {{ {MLP} }} }} din_towers {{ input: "deep" attn_mlp {{ {MLP} }} }} '
        f"final {{ {MLP} }} }} {LOSS}",
        [
            "sequence group `seq` has no query: `clicks__item` 8 are all sequences: "
            "model_config.multi_tower_din.din_towers[0].input (a DIN tower needs plain features that the steps are "
            "compared with)",
            "a DIN tower reads a sequence group, and feature group `deep` is none: "
            "model_config.multi_tower_din.din_towers[1].input (make `deep` group_type: SEQUENCE)",
        ],
    ),
    (
        "encoder_options_are_known",
        encoded("item clicks__item", 'pooling_encoder { input: "s" pooling_type: "men" }'),
        [f"`pooling_type: men` is unknown: {ENCODER_AT}.pooling_encoder, group `deep` (did you mean `mean`?)"],
    ),
    (
        "encoder_options_are_known",
        encoded("item clicks__item", 'self_attention_encoder { input: "s" multihead_attn_dim: 9 num_heads: 2 }'),
        [
            f"multihead_attn_dim 9 is not a multiple of num_heads 2: {ENCODER_AT}.self_attention_encoder, "
            "group `deep` (make it a multiple)"
        ],
    ),
    (
        "encoder_options_are_known",
        encoded("item clicks__item", f'multi_window_din_encoder {{ input: "s" attn_mlp {{ {MLP} }} }}'),
        [
            f"`windows_len` is []: {ENCODER_AT}.multi_window_din_encoder, group `deep` "
            "(give the steps of each window, such as [1, 4])"
        ],
    ),
    (
        "paired_features_have_one_width",
        f"{group('fm', 'user city item price')} {DEEP} deepfm {{ deep {{ {MLP} }} }} {LOSS}",
        [
            "features of group `fm` have different widths (1: `price`; 4: `city`; 8: `user`, `item`): "
            "model_config.feature_groups[0], group `fm` (a factorization machine multiplies them: give all one "
            "embedding_dim, or name those that have one in a group `fm`)"
        ],
    ),
    (
        "paired_features_have_one_width",
        group("any", "user city") + f"wukong {{ wukong_layers {{ lcb_feature_num: 2 fmb_feature_num: 2 {FMB} }} "
        f"final {{ {MLP} }} }} {LOSS}",
        [
            "features of group `any` have different widths (4: `city`; 8: `user`): model_config.feature_groups[0], "
            "group `any` (they are multiplied with each other: give all one embedding_dim)"
        ],
    ),
    (
        "dense_features_fit_in",
        dlrm("user item", "dense_mlp { hidden_units: [8, 4] }"),
        [
            "dense_mlp ends in 4 units, and features of group `sparse` are 8 wide: model_config.dlrm.dense_mlp "
            "(make the last of hidden_units the embedding_dim)"
        ],
    ),
    (
        "dense_features_fit_in",
        dlrm("user item", ""),
        ["there is a group `dense` and no `dense_mlp`: model_config.dlrm (add one that ends in 8 units)"],
    ),
    (
        "layers_have_units",
        DEEP + dcn("hidden_units: [8, 0]"),
        ["`hidden_units` is [8, 0]: model_config.dcn_v1.deep (a layer has at least one unit)"],
    ),
    (
        "layers_have_units",
        DEEP + dcn(""),
        ["`hidden_units` is empty: model_config.dcn_v1.deep (give at least one layer)"],
    ),
    (
        "dropouts_fit_layers",
        DEEP + dcn("hidden_units: [8, 4, 2] dropout_ratio: [0.1, 0.2]"),
        [
            "2 values of `dropout_ratio` for 3 `hidden_units`: model_config.dcn_v1.deep "
            "(give one value, or one per layer)"
        ],
    ),
    (
        "dropouts_fit_layers",
        f"{group('all', 'user')} {group('uia', 'user')} pepnet {{ ppnet_hidden_units: 4 ppnet_dropout_ratio: 1.5 "
        f"{tower()} }}",
        ["`ppnet_dropout_ratio` is 1.5: model_config.pepnet (it is a share of the units: 0 to 1)"],
    ),
    (
        "activations_are_known",
        DEEP + dcn(f'{MLP} activation: "nn.Relu"'),
        ["activation `nn.Relu` is unknown: model_config.dcn_v1.deep.activation (did you mean `nn.ReLU`?)"],
    ),
    (
        "experts_are_there",
        f"{DEEP} mmoe {{ expert_mlp {{ {MLP} }} num_expert: 0 {tower()} }}",
        ["`num_expert` is 0: model_config.mmoe (set it to the number of experts that tasks share)"],
    ),
    (
        "extraction_networks_mix",
        ple("expert_num_per_task: 0 share_num: 1 share_expert_net { hidden_units: 4 }"),
        [
            "`expert_num_per_task` is 0: model_config.ple.extraction_networks[0], `l` "
            "(each task has at least one expert of its own)",
            "task_expert_net ends in 8 units, and share_expert_net in 4: model_config.ple.extraction_networks[0], `l` "
            "(a gate mixes experts of one width)",
        ],
    ),
    (
        "extraction_networks_mix",
        ple("expert_num_per_task: 1 share_num: 1"),
        [
            "`share_num` without `share_expert_net`: model_config.ple.extraction_networks[0], `l` "
            "(add the MLP of the shared experts)"
        ],
    ),
    (
        "extraction_networks_mix",
        f"{DEEP} ple {{ {tower()} }}",
        ["`extraction_networks` is empty: model_config.ple (add one per level)"],
    ),
    (
        "mask_blocks_have_widths",
        masked("n_mask_blocks: 0 mask_block { hidden_dim: 0 reduction_ratio: 0 }"),
        [
            "`n_mask_blocks` is 0: model_config.mask_net.mask_net_module (set it to at least 1)",
            "`hidden_dim` is 0: model_config.mask_net.mask_net_module.mask_block (set it to the width of a block's "
            "output)",
            "the aggregation layer has no width: model_config.mask_net.mask_net_module.mask_block "
            "(set reduction_ratio, or aggregation_dim)",
        ],
    ),
    (
        "masks_have_widths",
        masked("n_mask_blocks: 1 mask_block { hidden_dim: 4 reduction_ratio: 0.1 }"),
        [
            "`reduction_ratio` 0.1 leaves no unit of an input 8 wide: model_config.mask_net.mask_net_module.mask_block "
            "(raise it, or set it to 0 and give aggregation_dim)"
        ],
    ),
    (
        "subspaces_are_smaller",
        dc2vr("low_rank_dim: 8"),
        [
            "`low_rank_dim` is 8, and the representation is 8 wide: model_config.dc2vr.task_towers[1] "
            "(a subspace has fewer dimensions: choose one between 1 and the width)"
        ],
    ),
    (
        "interactions_have_layers",
        f"{WIDE} {DEEP} xdeepfm {{ cin {{}} deep {{ {MLP} }} final {{ {MLP} }} wide_embedding_dim: 0 }} {LOSS}",
        [
            "`cin_layer_size` is []: model_config.xdeepfm.cin (give the feature maps of each layer, such as [32, 16])",
            "`wide_embedding_dim` is 0: model_config.xdeepfm (set it to at least 1)",
        ],
    ),
    ("interactions_have_layers", wukong(""), ["`wukong_layers` is empty: model_config.wukong (add one or more)"]),
    (
        "interactions_have_layers",
        wukong(f"wukong_layers {{ lcb_feature_num: 0 fmb_feature_num: 0 compressed_feature_num: 0 {FMB} }}"),
        [
            "`compressed_feature_num` is 0: model_config.wukong.wukong_layers[0] (set it to at least 1)",
            "`lcb_feature_num` and `fmb_feature_num` are 0: model_config.wukong.wukong_layers[0] "
            "(a layer makes at least one feature)",
        ],
    ),
    (
        "personalized_layers_are_there",
        f"{group('all', 'user')} {group('uia', 'user')} {group('domain', 'city')} "
        f'pepnet {{ epnet_hidden_unit: 0 domain_input_name: "clk" task_domain_num: 0 {tower()} }}',
        [
            "there is a group `uia`, and `ppnet_hidden_units` is []: model_config.pepnet "
            "(give at least one layer, of at least one unit)",
            "`epnet_hidden_unit` is 0: model_config.pepnet (set it to at least 1, or leave it out)",
            "there is a `domain_input_name`, and `task_domain_num` is 0: model_config.pepnet "
            "(set it to the number of domains)",
        ],
    ),
    (
        "tasks_are_there",
        f"{DEEP} simple_multi_task {{}}",
        ["`task_towers` is empty: model_config.simple_multi_task (add one per task)"],
    ),
    (
        "tasks_have_classes",
        task("num_class: 0"),
        ["`num_class` is 0: model_config.simple_multi_task.task_towers[0] (set it to 1, or to the number of classes)"],
    ),
    (
        "losses_fit_their_tasks",
        task("num_class: 3"),
        [
            "binary_cross_entropy with num_class 3: model_config.simple_multi_task.task_towers[0].losses[0] "
            "(use softmax_cross_entropy)"
        ],
    ),
    (
        "losses_fit_their_tasks",
        task("", loss='losses { jrc_loss { session_name: "user" } }'),
        ["jrc_loss with num_class 1: model_config.simple_multi_task.task_towers[0].losses[0] (set num_class to 2)"],
    ),
    (
        "metrics_fit_their_tasks",
        task("metrics { auc {} }", loss="losses { l2_loss {} }"),
        [
            "metric `auc` does not fit num_class 1 and its losses: "
            "model_config.simple_multi_task.task_towers[0].metrics[0] (the losses are: l2_loss)"
        ],
    ),
    (
        "labels_belong_to_tasks",
        f"{DEEP} dbmtl {{ {tower(label='')} }}",
        ["`label_name` is missing: model_config.dbmtl.task_towers[0] (name the label's column)"],
    ),
]


@pytest.mark.parametrize(("rule", "text", "expected"), CASES, ids=[case[0] for case in CASES])
def test_what_does_not_fit(rule: str, text: str, expected: list[str]) -> None:
    assert rule in {each.__name__ for each in RULES}
    config = parse_pipeline_config(f"{FEATURES} model_config {{ {text} }}")
    assert [str(problem) for problem in check_config(config)] == expected
