"""Each rule: one thing broken in a good config gives exactly the problems expected."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from recinfer.config.check import check_config
from recinfer.protos.pipeline_pb2 import EasyRecConfig

Edited = Callable[..., EasyRecConfig]

USER = 'id_feature { feature_name: "user_id" embedding_dim: 16 hash_bucket_size: 100 }'
DATA = "dataset_type: ParquetDataset"
ENCODER = 'din_encoder { input: "click_group"'


def user(rest: str, kind: str = "id_feature") -> tuple[str, str]:
    return USER, f'{kind} {{ feature_name: "user_id" {rest} }}'


# name, replacement in the good config, every expected problem as text
CASES: list[tuple[str, tuple[str, str], list[str]]] = [
    (
        "no name",
        (USER, "id_feature { embedding_dim: 4 num_buckets: 3 }"),
        [
            "`feature_name` is missing: feature_configs[0].id_feature",
            "feature `user_id` is not defined: model_config.feature_groups[0], group `deep` (did you mean `item_id`?)",
        ],
    ),
    (
        "required field of the model",
        ("final { hidden_units: 8 }", ""),
        ["`final` is missing: model_config.multi_tower_din"],
    ),
    ("batch size", ("batch_size: 64", "batch_size: 0"), ["`batch_size` is 0: data_config (set it to at least 1)"]),
    (
        "dataset type",
        (DATA, "dataset_type: OdpsDataset"),
        ["`OdpsDataset` is not supported: data_config.dataset_type (use ParquetDataset or CsvDataset)"],
    ),
    (
        "kafka",
        (DATA, "dataset_type: KafkaDataset"),
        ["`KafkaDataset` is not supported: data_config.dataset_type (use ParquetDataset or CsvDataset)"],
    ),
    ("no dataset type: told by the file", (DATA, ""), []),
    ("csv", (DATA, "dataset_type: CsvDataset"), []),
    (
        "sampler",
        (DATA, f"{DATA} negative_sampler {{ input_path: 'a' num_sample: 1 item_id_field: 'i' }}"),
        ["`negative_sampler` is not supported: data_config (put the negatives into the data)"],
    ),
    ("superseded fg_encoded", ("fg_mode: FG_NONE", "fg_encoded: true"), []),
    (
        "pareto",
        ("model_config {", "model_config { use_pareto_loss_weight: true"),
        [
            "`use_pareto_loss_weight` is set, and the model has no task towers: model_config "
            "(it divides weight between task_towers: remove it)"
        ],
    ),
    (
        "no labels",
        ('label_fields: "clk" label_fields: "buy"', ""),
        ["`label_fields` is empty: data_config (name the label's column)"],
    ),
    ("zch", user("embedding_dim: 16 zch { zch_size: 10 lfu {} }"), []),
    (
        "zch beside another size",
        user("embedding_dim: 16 num_buckets: 100 zch { zch_size: 10 lfu {} }"),
        ["the embedding table has 2 sizes: feature `user_id` (keep one of num_buckets, zch)"],
    ),
    (
        "zch of nothing",
        user("embedding_dim: 16 zch { zch_size: 1 eviction_interval: 0 }"),
        [
            "`zch.zch_size` is 1: feature `user_id` "
            "(set it to 2 or more: ids without a row of their own share the last one)",
            "`zch.eviction_interval` is 0: feature `user_id` (set it to the batches between two evictions)",
            "`zch` has no eviction policy: feature `user_id` (add one of lfu, lru, distance_lfu)",
        ],
    ),
    (
        "zch with code as its filter",
        user('embedding_dim: 16 zch { zch_size: 9 lfu {} threshold_filtering_func: "lambda x: open(x)" }'),
        [
            "threshold_filtering_func 'lambda x: open(x)' is not understood: feature `user_id` "
            '(write "lambda x: (x > 10, 10)", or one of dynamic_threshold_filter(x, threshold_skew_multiplier=1.0), '
            "average_threshold_filter(x), probabilistic_threshold_filter(x, per_id_probability=1.0) "
            'after "lambda x: ")',
        ],
    ),
    (
        "dynamicemb",
        user("embedding_dim: 16 dynamicemb { max_capacity: 10 }"),
        ["`dynamicemb` is not supported: feature `user_id` (use zch, hash_bucket_size or num_buckets)"],
    ),
    (
        "empty block",
        ("feature_configs { raw_feature", "feature_configs {}\nfeature_configs { raw_feature"),
        ["no feature is set: feature_configs[2] (add the block of a feature, for example id_feature { ... })"],
    ),
    (
        "name twice",
        ('feature_name: "age"', 'feature_name: "price"'),
        [
            "feature `price` is defined 2 times: feature_configs[2].raw_feature, feature_configs[3].raw_feature "
            "(rename or remove all but one)",
            "feature `age` is not defined: model_config.feature_groups[0], group `deep` "
            "(the features are: user_id, item_id, price, clicks__item_id, clicks__price)",
        ],
    ),
    (
        "boundaries",
        ("[18, 30, 50]", "[18, 50, 30]"),
        ["`boundaries` do not ascend: feature `age` (sort them and remove repeated ones)"],
    ),
    (
        "boundary twice",
        ("[18, 30, 50]", "[18, 18, 30]"),
        ["`boundaries` do not ascend: feature `age` (sort them and remove repeated ones)"],
    ),
    (
        "no table size",
        user("embedding_dim: 16"),
        [
            "the embedding table has no size: feature `user_id` "
            "(set one of hash_bucket_size, num_buckets, vocab_list, vocab_dict, vocab_file)"
        ],
    ),
    (
        "two table sizes",
        user("embedding_dim: 16 num_buckets: 3 vocab_list: ['a']"),
        ["the embedding table has 2 sizes: feature `user_id` (keep one of num_buckets, vocab_list)"],
    ),
    (
        "table of no rows",
        user("embedding_dim: 16 num_buckets: 0"),
        ["`num_buckets` is 0: feature `user_id` (a table has at least one row)"],
    ),
    ("vocab_list", user("embedding_dim: 16 vocab_list: ['a']"), []),
    ("vocab_dict", user("embedding_dim: 16 vocab_dict { key: 'a' value: 2 }"), []),
    ("vocab_file", user("embedding_dim: 16 vocab_file: 'a.txt' default_bucketize_value: 0"), []),
    (
        "no embedding_dim",
        user("num_buckets: 3"),
        ["`embedding_dim` is not set: feature `user_id` (set it to the length of the feature's vectors)"],
    ),
    (
        "buckets without embedding_dim",
        ("embedding_dim: 4 boundaries", "boundaries"),
        ["`embedding_dim` is not set: feature `age` (set it to the length of the feature's vectors)"],
    ),
    (
        "autodis without embedding_dim",
        user("autodis { num_channels: 3 }", "raw_feature"),
        ["`embedding_dim` is not set: feature `user_id` (set it to the length of the feature's vectors)"],
    ),
    ("lookup of numbers needs no table", user("", "lookup_feature"), []),
    (
        "lookup of ids",
        user("need_discrete: true num_buckets: 9", "lookup_feature"),
        ["`embedding_dim` is not set: feature `user_id` (set it to the length of the feature's vectors)"],
    ),
    ("lookup that would be of ids, were it generated", user("need_discrete: true", "lookup_feature"), []),
    ("pooling in capitals", user("embedding_dim: 16 num_buckets: 3 pooling: 'MEAN'"), []),
    (
        "pooling",
        user("embedding_dim: 16 num_buckets: 3 pooling: 'men'"),
        ["pooling `men` is unknown: feature `user_id` (did you mean `mean`?)"],
    ),
    ("pooling mean", user("embedding_dim: 16 num_buckets: 3 pooling: 'mean'"), []),
    (
        "shared table, other dim",
        user("embedding_name: 'item' embedding_dim: 8 num_buckets: 50"),
        [
            "features that share a table have different embedding_dim "
            "(8: `user_id`; 16: `item_id`, `clicks__item_id`): embedding_name `item` "
            "(make them equal, or give the features different embedding_name)"
        ],
    ),
    (
        "shared table, other size",
        user("embedding_name: 'item' embedding_dim: 16 num_buckets: 51"),
        [
            "features that share a table have different table sizes "
            "(51: `user_id`; 50: `item_id`, `clicks__item_id`): embedding_name `item` "
            "(make them equal, or give the features different embedding_name)"
        ],
    ),
    (
        "shared table, one of them zero-collision",
        user("embedding_name: 'item' embedding_dim: 16 zch { zch_size: 50 lru {} }"),
        [
            "features that share a table have different zch "
            "(zch_size: 50 lru { }: `user_id`; none: `item_id`, `clicks__item_id`): embedding_name `item` "
            "(make them equal, or give the features different embedding_name)"
        ],
    ),
    (
        "table shared under its default name",
        user("embedding_name: 'age_emb' embedding_dim: 4 num_buckets: 9"),
        [
            "features that share a table have different table sizes (9: `user_id`; 4: `age`): embedding_name `age_emb` "
            "(make them equal, or give the features different embedding_name)"
        ],
    ),
    (
        "shared table, equal size in other words",
        user("embedding_name: 'age_emb' embedding_dim: 4 vocab_list: ['a', 'b']"),
        [],
    ),
    (
        "group name twice",
        ('group_name: "seq"', 'group_name: "deep"'),
        [
            "group name `deep` is used 2 times: model_config.feature_groups (give each group a name of its own)",
            "feature group `seq` is not defined: model_config.multi_tower_din.din_towers[0].input "
            "(the feature groups are: deep, deep)",
        ],
    ),
    (
        "unknown feature",
        ('"user_id", "item_id", "price"', '"user_idd", "item_id", "price"'),
        ["feature `user_idd` is not defined: model_config.feature_groups[0], group `deep` (did you mean `user_id`?)"],
    ),
    (
        "unknown feature of a sequence",
        ('"clicks__price"', '"clicks_price"'),
        [
            "feature `clicks_price` is not defined: "
            "model_config.feature_groups[0].sequence_groups[0], group `click_group` (did you mean `clicks__price`?)"
        ],
    ),
    (
        "group without features",
        ('feature_names: ["item_id", "clicks__item_id"]', ""),
        ["group `seq` has no features: model_config.feature_groups[1] (add feature_names)"],
    ),
    (
        "intermediate in a group",
        user("embedding_dim: 16 num_buckets: 3 stub_type: true"),
        [
            "feature `user_id` is only an intermediate (stub_type): model_config.feature_groups[0], group `deep` "
            "(unset stub_type, or leave it out of the group)"
        ],
    ),
    (
        "encoder reads no group",
        (ENCODER, 'din_encoder { input: "click_grp"'),
        [
            "sequence group `click_grp` is not defined: "
            "model_config.feature_groups[0].sequence_encoders[0].din_encoder.input (did you mean `click_group`?)"
        ],
    ),
    (
        "empty encoder",
        ("sequence_encoders {", "sequence_encoders {}\nsequence_encoders {"),
        [
            "no encoder is set: model_config.feature_groups[0].sequence_encoders[0] "
            "(add the block of an encoder, for example din_encoder { ... })"
        ],
    ),
    (
        "unnamed sequence group",
        ('group_name: "click_group" ', ""),
        [
            "sequence group `click_group` is not defined: "
            "model_config.feature_groups[0].sequence_encoders[0].din_encoder.input (the sequence groups are: deep)"
        ],
    ),
    (
        "tower input",
        ('towers { input: "deep"', 'towers { input: "dep"'),
        ["feature group `dep` is not defined: model_config.multi_tower_din.towers[0].input (did you mean `deep`?)"],
    ),
]


@pytest.mark.parametrize(("change", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_rule(edited: Edited, change: tuple[str, str], expected: list[str]) -> None:
    assert [str(problem) for problem in check_config(edited(change))] == expected
