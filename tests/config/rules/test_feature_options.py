"""Options of features and tables, and what the data must say for tasks: each broken config gives the problem."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from recinfer.config.check import check_config
from recinfer.config.rules import RULES
from recinfer.protos.pipeline_pb2 import EasyRecConfig

Edited = Callable[..., EasyRecConfig]

USER = "embedding_dim: 16 hash_bucket_size: 100"
PRICE = 'raw_feature { feature_name: "price" } }\nfeature_configs { raw'
SAME = "(make them equal, or give the features different embedding_name)"


def price(more: str) -> tuple[str, str]:
    return PRICE, PRICE.replace('"price"', f'"price" {more}')


# The rule, the replacement in the good config, every expected problem as text.
CASES: list[tuple[str, tuple[str, str], list[str]]] = [
    (
        "init_fns_are_known",
        (USER, f'{USER} init_fn: "nn.init.uniform_,low=1"'),
        ["init_fn 'nn.init.uniform_,low=1': uniform_ has no argument 'low': feature `user_id` (it takes a, b)"],
    ),
    (
        "init_fns_are_known",
        (USER, f'{USER} init_fn: "nn.init.uniform_,a=2"'),
        [
            "init_fn 'nn.init.uniform_,a=2': a is above b: feature `user_id` "
            "(values lie between a and b, which are 0 and 1 by default)"
        ],
    ),
    ("init_fns_are_known", (USER, f'{USER} init_fn: "nn.init.normal_,std=0.1"'), []),
    (
        "data_types_are_known",
        (USER, f'{USER} data_type: "FP8"'),
        ["data_type `FP8` is not supported: feature `user_id` (did you mean `FP32`?)"],
    ),
    (
        "shared_tables_have_one_setting",
        (USER, 'embedding_dim: 16 num_buckets: 50 embedding_name: "item" trainable: false pooling: "mean"'),
        [
            "features that share a table have different pooling (mean: `user_id`; sum: `item_id`): "
            f"embedding_name `item` {SAME}",
            "features that share a table have different trainable (false: `user_id`; true: `item_id`): "
            f"embedding_name `item` {SAME}",
        ],
    ),
    (
        "shared_tables_have_one_setting",
        (
            "model_config {",
            'model_config { feature_groups { group_name: "w" group_type: WIDE feature_names: "item_id" } '
            'feature_groups { group_name: "d" feature_names: "item_id" embedding_name_suffix: "wide" }',
        ),
        [
            "a WIDE group and a DEEP group would share a table, by the suffix of their embedding_name: "
            "embedding_name `item_wide` (choose another embedding_name_suffix)"
        ],
    ),
    (
        "dense_embeddings_take_one_number",
        price("value_dim: 3 embedding_dim: 4 mlp {}"),
        [
            "`autodis` and `mlp` embed one number, and `value_dim` is 3: feature `price` "
            "(split it into features of one number each)"
        ],
    ),
    (
        "dense_embeddings_take_one_number",
        price("embedding_dim: 4 autodis { num_channels: 0 }"),
        ["`autodis.num_channels` is not above 0: feature `price` (set it above 0)"],
    ),
    (
        "defaults_are_readable",
        price('fg_encoded_default_value: "none"'),
        [
            "`fg_encoded_default_value: 'none'` is not a number, or several separated: feature `price` "
            "(write it as the column writes a value)"
        ],
    ),
    (
        "defaults_are_readable",
        price('value_dim: 3 fg_encoded_default_value: "1\\0032"'),
        [
            "`fg_encoded_default_value: '1\\x032'` is not one number or 3: feature `price` "
            "(write it as the column writes a value)"
        ],
    ),
    ("defaults_are_readable", (USER, f'{USER} weighted: true fg_encoded_default_value: "3:0.5\\0034"'), []),
    (
        "defaults_are_readable",
        (USER, f'{USER} fg_encoded_default_value: "1.5"'),
        [
            "`fg_encoded_default_value: '1.5'` is not a whole number, or several separated: feature `user_id` "
            "(write it as the column writes a value)"
        ],
    ),
    (
        "losses_fit_their_tasks",
        ("losses {", "losses {} losses {"),
        [
            "no loss is set: model_config.losses[0] (add one of binary_cross_entropy, binary_focal_loss, "
            "softmax_cross_entropy, jrc_loss, l2_loss)"
        ],
    ),
]


@pytest.mark.parametrize(("rule", "change", "expected"), CASES, ids=[case[0] for case in CASES])
def test_rule(edited: Edited, rule: str, change: tuple[str, str], expected: list[str]) -> None:
    assert rule in {each.__name__ for each in RULES}
    assert [str(problem) for problem in check_config(edited(change))] == expected


def test_what_trains_has_losses(good: EasyRecConfig) -> None:
    del good.model_config.losses[:]
    assert check_config(good) == []
    good.train_config.sparse_optimizer.adam_optimizer.SetInParent()
    good.train_config.dense_optimizer.SetInParent()
    assert [str(problem) for problem in check_config(good)] == [
        "`losses` is empty: model_config (add one, for example losses { binary_cross_entropy {} })"
    ]
