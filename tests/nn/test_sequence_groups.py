"""Sequence groups inside deep groups: widths, order, names of parameters, scripts, and configs that do not fit."""

from __future__ import annotations

import pytest
import torch

from recinfer.data.parser import Parser
from recinfer.errors import ConfigError
from tests.models.parity import check_learns, check_scripted
from tests.synthetic import config_of, make_table, model_of

TAIL = 'multi_tower { towers { input: "deep" } final { hidden_units: 4 } }'
FIRST = """sequence_groups {
  group_name: "clicks" feature_names: ["movie_id", "rating", "history__movie_id", "history__rating", "history__mood"]
}"""
SECOND = 'sequence_groups { group_name: "genres" feature_names: ["genres", "history__genres", "history__movie_id"] }'
DIN = 'din_encoder { input: "clicks" attn_mlp { hidden_units: [6, 3] activation: "nn.PReLU" use_bn: true } }'
SIMPLE = 'simple_attention { input: "same" }'
SAME = 'sequence_groups { group_name: "same" feature_names: ["movie_id", "history__movie_id"] }'
ENCODERS = {
    "din": f"sequence_encoders {{ {DIN} }}",
    "cut din": f"sequence_encoders {{ {DIN[:-1]} max_seq_length: 3 }} }}",
    "sum": 'sequence_encoders { pooling_encoder { input: "clicks" pooling_type: "sum" max_seq_length: 2 } }',
    "self attention": """sequence_encoders {
      self_attention_encoder { input: "clicks" multihead_attn_dim: 6 num_heads: 3 max_seq_length: 4 }
    }""",
    "windows": """sequence_encoders {
      multi_window_din_encoder { input: "clicks" windows_len: [1, 3] attn_mlp { hidden_units: 5 } }
    }""",
    "several": f"""
      sequence_encoders {{ {DIN} }}
      sequence_encoders {{ pooling_encoder {{ input: "clicks" }} }}
      sequence_encoders {{ {SIMPLE} }}
      sequence_encoders {{ pooling_encoder {{ input: "genres" }} }}
    """,
}


def deep(inside: str, names: str = 'feature_names: ["user_id", "age"]', kind: str = "DEEP") -> str:
    return f'feature_groups {{ group_name: "deep" {names} group_type: {kind} {inside} }} {TAIL}'


def text_of(name: str, **options: str) -> str:
    groups = FIRST + SECOND + SAME if name == "several" else FIRST
    return deep(groups + ENCODERS[name], **options)


@pytest.mark.parametrize("name", ENCODERS)
def test_scripted_and_learns(name: str) -> None:
    model, features = model_of(config_of(text_of(name)))
    check_scripted(model, features)
    # Pooling reads no query.
    check_learns(model, features, spared=["embedding_group.seq_emb_impls.__BASE__.ec_dict.8.embeddings.genres_emb"])


def test_a_group_of_sequences_only() -> None:
    model, features = model_of(config_of(text_of("several", names="")))
    assert model.embedding_group.dims("deep") == [11, 11, 8, 12]
    check_scripted(model, features)


def test_encoders_follow_the_features_in_their_order() -> None:
    model, features = model_of(config_of(text_of("several")))
    group = model.embedding_group
    assert group.dims("deep") == [8, 8, 11, 11, 8, 12]
    batch = Parser(features)(make_table(20, 2))
    with torch.no_grad():
        out = group(batch)
        steps, lengths = out["clicks.sequence"], out["clicks.sequence_length"]
        means = [part.mean(0) if len(part) else torch.zeros(11) for part in steps.split(lengths.tolist())]
        torch.testing.assert_close(out["deep"][:, 27:38], torch.stack(means))
        plain, _ = model_of(config_of(deep("")))
        state = {key: value for key, value in group.state_dict().items() if key.startswith("emb_impls")}
        plain.embedding_group.load_state_dict(state)
        torch.testing.assert_close(out["deep"][:, :16], plain.embedding_group(batch)["deep"])


def test_names_of_parameters() -> None:
    model, _ = model_of(config_of(text_of("several")))
    names = {name for name in model.state_dict() if "_group_name_to_seq_encoders" in name}
    start = "embedding_group._group_name_to_seq_encoders.deep.0"
    # Numbers as on padded sequences, where transpositions stand around the norm.
    assert f"{start}.mlp.mlp.0.perceptron.2.running_mean" in names
    assert f"{start}.mlp.mlp.1.perceptron.4.weight" in names
    assert f"{start}.linear.weight" in names
    tables = [
        name.removeprefix("embedding_group.seq_emb_impls.__BASE__.") for name in model.state_dict() if "ec_dict" in name
    ]
    assert sorted(tables) == [
        "ec_dict.4.embeddings.history__genres_emb.weight",
        "ec_dict.8.embeddings.genres_emb.weight",
        "ec_dict.8.embeddings.movie.weight",
    ]


def test_a_single_group_needs_no_name() -> None:
    unnamed = text_of("din").replace('group_name: "clicks"', "").replace('input: "clicks"', "")
    model, features = model_of(config_of(unnamed))
    named, _ = model_of(config_of(text_of("din")))
    named.load_state_dict(model.state_dict())
    batch = Parser(features)(make_table(9, 2))
    torch.testing.assert_close(model(batch)["logits"], named(batch)["logits"])


def test_jagged_sequence_groups_are_sequence_groups() -> None:
    names = 'feature_names: ["movie_id", "history__movie_id", "history__rating"]'
    text = f'feature_groups {{ group_name: "s" group_type: %s {names} }} {deep("")}'
    (jagged, features), (sequence, _) = (model_of(config_of(text % kind)) for kind in ("JAGGED_SEQUENCE", "SEQUENCE"))
    sequence.load_state_dict(jagged.state_dict())
    batch = Parser(features)(make_table(9, 2))
    found, want = jagged.embedding_group(batch), sequence.embedding_group(batch)
    assert found.keys() == want.keys() >= {"s.query", "s.sequence", "s.sequence_length"}
    assert all(torch.equal(found[key], want[key]) for key in want)


def test_a_suffix_gives_groups_tables_of_their_own() -> None:
    suffixed = FIRST.replace("}", 'embedding_name_suffix: "b" }')
    two = 'feature_groups { group_name: "other" feature_names: ["user_id", "age"] embedding_name_suffix: "x" }' + deep(
        suffixed + SAME + ENCODERS["din"] + f"sequence_encoders {{ {SIMPLE} }}"
    )
    model, features = model_of(config_of(two))
    tables = {name.split(".")[-2] for name in model.state_dict() if "embeddings." in name or "embedding_bags." in name}
    assert tables == {"user_id_emb", "age_emb", "user_id_emb_x", "age_emb_x", "movie_b", "movie"}
    out = model.embedding_group(Parser(features)(make_table(9, 2)))
    assert not torch.equal(out["other"], out["deep"][:, :16])
    assert not torch.equal(out["clicks.query"][:, :8], out["same.query"])
    check_scripted(model, features)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (deep(FIRST), "'deep' has sequence_groups and no sequence_encoders"),
        (deep(ENCODERS["din"]), "'deep' has sequence_encoders and no sequence_groups"),
        (text_of("din", kind="WIDE"), "'deep' is WIDE and holds sequence groups"),
        (deep(FIRST + SECOND + ENCODERS["din"]), "sequence group 'genres' of feature group 'deep' has no encoder"),
        (deep(FIRST + FIRST + ENCODERS["din"]), "two sequence groups 'clicks'"),
        (deep(FIRST + SECOND.replace('group_name: "genres"', "") + ENCODERS["din"]), "has no group_name"),
        (deep(FIRST + ENCODERS["din"].replace('"clicks"', '"cliks"')), "reads sequence group 'cliks'"),
        (deep(FIRST + ENCODERS["din"] + "sequence_encoders {}"), "empty sequence_encoders entry"),
        (deep(FIRST.replace("history__mood", "history__mod") + ENCODERS["din"]), "'clicks'.*history__mod"),
        (deep(FIRST.replace('"rating", ', '"recency", ') + ENCODERS["din"]), "'clicks' holds feature 'recency'"),
        (deep(SECOND + f"sequence_encoders {{ {SIMPLE.replace('same', 'genres')} }}"),
         "'genres' of feature group 'deep' has a query of width 8 and steps of width 12"),
    ],
)  # fmt: skip
def test_configs_that_do_not_fit(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        model_of(config_of(text))


def test_one_name_in_two_deep_groups() -> None:
    text = text_of("din").replace(TAIL, "") + text_of("din").replace('"deep"', '"more"', 1)
    with pytest.raises(ConfigError, match="two sequence groups are called 'clicks'"):
        model_of(config_of(text))
