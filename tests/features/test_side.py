"""Which features are the user's."""

from __future__ import annotations

import pytest

from recinfer.features import build_features
from recinfer.features.side import is_user_side
from tests.synthetic import config_of


def side_of(text: str) -> bool:
    config = config_of("deepfm", features=f"data_config {{ fg_mode: FG_NONE }} feature_configs {{ {text} }}")
    return is_user_side(build_features(config)[0])


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ('id_feature { feature_name: "a" expression: "user:a" embedding_dim: 8 num_buckets: 9 }', True),
        ('id_feature { feature_name: "a" expression: "item:a" embedding_dim: 8 num_buckets: 9 }', False),
        ('id_feature { feature_name: "a" expression: "context:a" embedding_dim: 8 num_buckets: 9 }', False),
        ('id_feature { feature_name: "a" embedding_dim: 8 num_buckets: 9 }', False),
        ('id_feature { feature_name: "a" expression: "user" embedding_dim: 8 num_buckets: 9 }', False),
        ('combo_feature { feature_name: "a" expression: "user:a" expression: "user:b" embedding_dim: 8 }', True),
        ('combo_feature { feature_name: "a" expression: "user:a" expression: "item:b" embedding_dim: 8 }', False),
        ('lookup_feature { feature_name: "a" map: "user:a" key: "item:b" embedding_dim: 8 }', False),
        ('expr_feature { feature_name: "a" expression: "b*2" variables: "user:b" }', True),
        ('sequence_id_feature { feature_name: "a" expression: "user:a" embedding_dim: 8 num_buckets: 9 }', True),
    ],
)
def test_which_side_a_feature_is_on(text: str, user: bool) -> None:
    assert side_of(text) is user


@pytest.mark.parametrize(("key", "user"), [("", True), ("user:history", True), ("item:fans", False)])
def test_members_of_a_sequence_are_the_user_s_unless_said_otherwise(key: str, user: bool) -> None:
    member = 'features { id_feature { feature_name: "a" expression: "item:a" embedding_dim: 8 num_buckets: 9 } }'
    assert (
        side_of(f'sequence_feature {{ sequence_name: "s" sequence_length: 5 sequence_pk: "{key}" {member} }}') is user
    )
