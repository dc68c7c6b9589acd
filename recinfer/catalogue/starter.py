"""The smallest config that works, for any model: where a user starts from."""

from __future__ import annotations

from recinfer.catalogue.facts import ModelFacts, StarterGroup

# Columns of scripts/make_taobao.py, so that there are rows to try every config on.
FEATURES = {
    "user_id": 'id_feature { feature_name: "user_id" expression: "user:user_id" num_buckets: 2000 embedding_dim: 16 }',
    "adgroup_id": "id_feature {\n"
    '    feature_name: "adgroup_id" expression: "item:adgroup_id" num_buckets: 800 embedding_dim: 16\n'
    "  }",
    "cate_id": 'id_feature { feature_name: "cate_id" expression: "item:cate_id" num_buckets: 40 embedding_dim: 16 }',
    "ad_ctr": 'raw_feature { feature_name: "ad_ctr" expression: "item:ad_ctr" }',
    "pid": 'id_feature { feature_name: "pid" expression: "context:pid" num_buckets: 2 embedding_dim: 16 }',
    "click_50_seq__adgroup_id": "sequence_feature {\n"
    '    sequence_name: "click_50_seq" sequence_length: 50 sequence_delim: "|"\n'
    "    features {\n"
    "      id_feature {\n"
    '        feature_name: "adgroup_id" expression: "item:adgroup_id" num_buckets: 800 embedding_dim: 16\n'
    "      }\n"
    "    }\n"
    "  }",
}

HEAD = """train_input_path: "quickstart/taobao/train"
eval_input_path: "quickstart/taobao/eval"
model_dir: "quickstart/models/{name}"
train_config {{
  sparse_optimizer {{ adagrad_optimizer {{ lr: 0.05 }} constant_learning_rate {{}} }}
  dense_optimizer {{ adam_optimizer {{ lr: 0.001 }} constant_learning_rate {{}} }}
  num_epochs: 1
}}
eval_config {{}}
data_config {{ dataset_type: ParquetDataset fg_mode: FG_NONE batch_size: 256 {labels} }}
"""
LOSSES = "  losses { binary_cross_entropy {} }\n  metrics { auc {} }\n"


def starter_config(facts: ModelFacts) -> str:
    """The text of a whole pipeline config, with the model's paper and needs as comments on top."""
    labels = ("clk", "buy") if facts.multi_task else ("clk",)
    names = dict.fromkeys(name for group in facts.starter_groups for name in group.features)
    return "".join(
        [
            *(f"# {line}".rstrip() + "\n" for line in _comment(facts, [*names, *labels])),
            HEAD.format(name=facts.name, labels=" ".join(f'label_fields: "{label}"' for label in labels)),
            *(f"feature_configs {{\n  {FEATURES[name]}\n}}\n" for name in names),
            "model_config {\n",
            *(_group(group) for group in facts.starter_groups),
            "" if facts.multi_task else LOSSES,
            f"  {facts.starter}\n}}\n",
        ]
    )


def _comment(facts: ModelFacts, columns: list[str]) -> list[str]:
    paper = [facts.citation] if facts.citation else []
    return [
        f"{facts.title}: {facts.summary}.",
        *paper,
        "Feature groups:",
        *(f"- {group}" for group in facts.groups),
        f"Columns: {', '.join(columns)}. Ids count from 0.",
        "scripts/make_taobao.py writes such rows. Put your own paths, columns and features in their place.",
    ]


def _group(group: StarterGroup) -> str:
    names = ", ".join(f'"{name}"' for name in group.features)
    return f'  feature_groups {{ group_name: "{group.name}" group_type: {group.type} feature_names: [{names}] }}\n'
