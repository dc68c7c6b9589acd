"""Random configs over the columns of :mod:`tests.synthetic`: features, groups, encoders and layers of every model."""

from __future__ import annotations

from hypothesis import strategies as st

from recinfer.config.activations import ACTIVATIONS
from recinfer.models import MODELS
from tests.synthetic import DEEP, GENRES, MOVIES, TAGS, USERS

WIDTH_8 = ["user_id", "movie_id", "genres", "tags", "age", "popularity", "recency"]
NAMED = ["nn.ReLU", "Dice", "", *(f"nn.{name}" for name in ACTIVATIONS)]
STEPS = ["history__genres", "history__rating", "history__mood"]
WEIGHTED = "weighted: true"
TASKS = ["ctr", "cvr"]


@st.composite
def mlp(draw: st.DrawFn, last: int = 0) -> str:
    units = draw(st.lists(st.integers(3, 7), min_size=0 if last else 1, max_size=2)) + [last] * bool(last)
    norm = draw(st.sampled_from(["use_bn: true", "use_ln: true", ""]))
    dropout = draw(st.sampled_from(["dropout_ratio: 0.2", ""]))
    bias = draw(st.sampled_from(["bias: false", ""]))
    return f'hidden_units: {units} activation: "{draw(st.sampled_from(NAMED))}" {norm} {dropout} {bias}'


@st.composite
def encoder(draw: st.DrawFn, name: str, equal: bool) -> str:
    read = f'input: "{name}" ' + draw(st.sampled_from(["max_seq_length: 2", ""]))
    kinds = [
        f"din_encoder {{ {read} attn_mlp {{ {draw(mlp())} }} }}",
        f'pooling_encoder {{ {read} pooling_type: "{draw(st.sampled_from(["sum", "mean"]))}" }}',
        f"self_attention_encoder {{ {read} multihead_attn_dim: 8 num_heads: {draw(st.sampled_from([1, 4]))} }}",
        f'multi_window_din_encoder {{ input: "{name}" windows_len: [1, 2] attn_mlp {{ {draw(mlp())} }} }}',
    ]
    return draw(st.sampled_from([*kinds, *([f"simple_attention {{ {read} }}"] * equal)]))


def group(name: str, members: list[str], inside: str = "", kind: str = "DEEP") -> str:
    names = " ".join(f'feature_names: "{member}"' for member in members)
    return f'feature_groups {{ group_name: "{name}" group_type: {kind} {names} {inside} }}'


@st.composite
def deep_group(draw: st.DrawFn, name: str) -> str:
    members = draw(st.permutations(DEEP))[: draw(st.sampled_from([9, 4, 2, 1]))]
    inside = draw(st.sampled_from([f'embedding_name_suffix: "{name}"', ""]))
    for place in range(draw(st.sampled_from([0, 1, 1, 2]))):
        made, equal = draw(sequence_members())
        own = draw(st.sampled_from(['embedding_name_suffix: "own"', ""]))
        names = " ".join(f'feature_names: "{member}"' for member in made)
        inside += f''' sequence_groups {{ group_name: "{name}_{place}" {names} {own} }}
          sequence_encoders {{ {draw(encoder(f"{name}_{place}", equal))} }}'''
    return group(name, members, inside)


@st.composite
def sequence_members(draw: st.DrawFn) -> tuple[list[str], bool]:
    """A query no wider than the steps, and the steps; and whether both are as wide."""
    more = draw(st.permutations(STEPS))[: draw(st.sampled_from([3, 1, 0]))]
    query = ["movie_id", *(["rating"] if more else [])]
    return [*query, "history__movie_id", *more], not more


def towers(draw: st.DrawFn, extra: str = "") -> str:
    out = ""
    for place, name in enumerate(TASKS):
        own = f"mlp {{ {draw(mlp())} }}" if draw(st.sampled_from([True, False])) else ""
        own += f" {extra}" if place else ""
        out += (
            f'task_towers {{ tower_name: "{name}" label_name: "liked" losses {{ binary_cross_entropy {{}} }} {own} }}'
        )
    return out


@st.composite
def model_text(draw: st.DrawFn, kind: str) -> str:
    some = draw(st.permutations(WIDTH_8))[: draw(st.sampled_from([4, 3, 2]))]
    sparse, wide = group("sparse", some), group("wide", WIDTH_8[:5], kind="WIDE")
    one = draw(deep_group("deep"))
    final, deep = f"final {{ {draw(mlp())} }}", f"deep {{ {draw(mlp())} }}"
    experts = f"expert_mlp {{ {draw(mlp(6))} }} num_expert: 2"
    dense = draw(deep_group("dense")) if draw(st.sampled_from([True, False])) else ""
    dense_mlp = f"dense_mlp {{ {draw(mlp(8))} }}" if dense else ""
    level = f"""extraction_networks {{ network_name: "l" expert_num_per_task: 1 share_num: 1
      task_expert_net {{ {draw(mlp(6))} }} share_expert_net {{ {draw(mlp(6))} }} }}"""
    fmb = f"wukong_layers {{ lcb_feature_num: 2 fmb_feature_num: 2 feature_num_mlp {{ {draw(mlp())} }} }}"
    block = "n_mask_blocks: 2 mask_block { reduction_ratio: 1.5 hidden_dim: 5 }"
    kind_of_sequence = draw(st.sampled_from(["SEQUENCE", "JAGGED_SEQUENCE"]))
    sequence = group("seq", draw(sequence_members())[0], kind=kind_of_sequence)
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
    dropout = "variational_dropout {}" if draw(st.sampled_from([True, False])) else ""
    return f"{dropout} {texts[kind]}"


def named(kind: str, name: str, rest: str) -> str:
    return f'{kind} {{ feature_name: "{name}" {rest} }}'


@st.composite
def table_options(draw: st.DrawFn) -> str:
    """What features that share a table agree on."""
    data_type = draw(st.sampled_from(['data_type: "FP16"', "", ""]))
    trainable = draw(st.sampled_from(["trainable: false", ""]))
    init_fn = draw(st.sampled_from(['init_fn: "nn.init.normal_,std=0.1"', 'init_fn: "nn.init.zeros_"', ""]))
    return f"{data_type} {trainable} {init_fn}"


@st.composite
def user_rows(draw: st.DrawFn) -> str:
    """Rows by number, or for the ids that matter, which an untrained table does not know yet."""
    policy = draw(st.sampled_from(["lfu {}", "lru { decay_exponent: 2 }", "distance_lfu {}"]))
    managed = f"zch {{ zch_size: {USERS} eviction_interval: 2 {policy} }}"
    return draw(st.sampled_from([f"hash_bucket_size: {USERS}", f"num_buckets: {USERS}", managed]))


@st.composite
def feature_text(draw: st.DrawFn) -> str:
    """The data config and the features: ids, numbers and combinations, plain and as sequences."""
    pooled = st.sampled_from(['pooling: "mean"', ""])
    ids, shared = st.sampled_from(["combo_feature", "id_feature"]), draw(table_options())
    number = st.sampled_from(["autodis { num_channels: 3 temperature: 0.5 keep_prob: 0.8 }", "mlp {}"])
    movie = f'embedding_dim: 8 num_buckets: {MOVIES} embedding_name: "movie" {shared}'
    # Pooling and width of the genres differ between the row and the sequence, which then have tables of their own.
    genres, genre_dim = f"hash_bucket_size: {GENRES} value_dim: 0", draw(st.sampled_from([4, 8]))
    plain = [
        named("id_feature", "user_id", f"embedding_dim: 8 {draw(user_rows())} {draw(table_options())}"),
        named("id_feature", "movie_id", movie),
        named(
            draw(ids), "genres", f"embedding_dim: 8 hash_bucket_size: {GENRES} {draw(pooled)} {draw(table_options())}"
        ),
        named("id_feature", "tags", f"embedding_dim: 8 num_buckets: {TAGS} {WEIGHTED} {draw(pooled)}"),
        named("raw_feature", "age", f"embedding_dim: 8 boundaries: [1, 2, 3, 4] {draw(table_options())}"),
        named("raw_feature", "rating", draw(st.sampled_from(['fg_encoded_default_value: "3.5"', ""]))),
        named("raw_feature", "profile", "value_dim: 3"),
        named("raw_feature", "popularity", f"embedding_dim: 8 {draw(number)}"),
        named("raw_feature", "recency", f"embedding_dim: 8 {draw(number)}"),
    ]
    steps = [
        named("id_feature", "movie_id", f"{movie} value_dim: 1"),
        named(draw(ids), "genres", f"embedding_dim: {genre_dim} {genres} {draw(pooled)} {draw(table_options())}"),
        named("raw_feature", "rating", ""),
        named("raw_feature", "mood", "value_dim: 2"),
    ]
    inside = " ".join(f"features {{ {step} }}" for step in steps)
    sequence = f'sequence_name: "history" sequence_length: 6 sequence_delim: ";" {inside}'
    blocks = [*plain, f"sequence_feature {{ {sequence} }}"]
    data = 'data_config { batch_size: 64 dataset_type: ParquetDataset label_fields: "liked" fg_mode: FG_NONE }'
    return "\n".join([data, *(f"feature_configs {{ {block} }}" for block in blocks)])
