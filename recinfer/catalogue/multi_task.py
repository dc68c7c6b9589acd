"""Multi-task models: a tower, a label and a score per task."""

from __future__ import annotations

from recinfer.catalogue.facts import FIRST, GroupNeed, ModelFacts, StarterGroup

FEATURES = ("user_id", "adgroup_id", "cate_id", "ad_ctr")
WHOLE = (GroupNeed(FIRST, "DEEP", "any features"),)
ALL = (StarterGroup("all", "DEEP", FEATURES),)


def towers(ctr: str = "", cvr: str = "") -> str:
    """Two towers of a starter; ``ctr`` and ``cvr`` are what they hold besides the usual."""
    made = []
    for name, label, extra in (("ctr", "clk", ctr), ("cvr", "buy", cvr)):
        made.append(f"""    task_towers {{
      tower_name: "{name}" label_name: "{label}" mlp {{ hidden_units: [32, 16] }}
      losses {{ binary_cross_entropy {{}} }} metrics {{ auc {{}} }}{f"{chr(10)}      {extra}" if extra else ""}
    }}""")
    return "\n".join(made)


MULTI_TASK = (
    ModelFacts(
        "simple_multi_task",
        "SimpleMultiTask",
        "a tower per task over shared embeddings",
        "Caruana, Machine Learning 28, 1997",
        "https://doi.org/10.1023/A:1007379606734",
        WHOLE,
        ALL,
        f"simple_multi_task {{\n{towers()}\n  }}",
        True,
    ),
    ModelFacts(
        "mmoe",
        "MMoE",
        "shared experts, and a gate and a tower per task",
        "Ma et al., KDD 2018",
        "https://doi.org/10.1145/3219819.3220007",
        WHOLE,
        ALL,
        f"mmoe {{\n    expert_mlp {{ hidden_units: [64, 32] }}\n    num_expert: 3\n{towers()}\n  }}",
        True,
    ),
    ModelFacts(
        "ple",
        "PLE",
        "levels of experts, of each task and shared, and a tower per task",
        "Tang et al., RecSys 2020",
        "https://doi.org/10.1145/3383313.3412236",
        WHOLE,
        ALL,
        f"""ple {{
    extraction_networks {{
      network_name: "level" expert_num_per_task: 2 share_num: 2
      task_expert_net {{ hidden_units: [64, 32] }} share_expert_net {{ hidden_units: [64, 32] }}
    }}
{towers()}
  }}""",
        True,
    ),
    ModelFacts(
        "dbmtl",
        "DBMTL",
        "tasks that read the representations of tasks before them",
        "Wang et al., 2019",
        "https://arxiv.org/abs/1902.09154",
        WHOLE,
        ALL,
        "dbmtl {\n    bottom_mlp { hidden_units: 64 }\n"
        + towers(cvr='relation_tower_names: "ctr" relation_mlp { hidden_units: 16 }')
        + "\n  }",
        True,
    ),
    ModelFacts(
        "dc2vr",
        "DC2VR",
        "tasks in whose representations earlier tasks intervene, as in ReFT",
        "Wu et al., NeurIPS 2024",
        "https://arxiv.org/abs/2404.03592",
        WHOLE,
        ALL,
        "dc2vr {\n    bottom_mlp { hidden_units: 64 }\n"
        + towers("low_rank_dim: 4", 'intervention_tower_names: "ctr" low_rank_dim: 4')
        + "\n  }",
        True,
    ),
    ModelFacts(
        "pepnet",
        "PEPNet",
        "gates that know domain and user scale embeddings and layers",
        "Chang et al., KDD 2023",
        "https://arxiv.org/abs/2302.01115",
        (
            GroupNeed("all", "DEEP", "any features"),
            GroupNeed("domain", "DEEP", "what tells domains apart, for gates on embeddings", optional=True),
            GroupNeed("uia", "DEEP", "user, item and author, for gates on each task's layers", optional=True),
        ),
        (*ALL, StarterGroup("domain", "DEEP", ("pid",)), StarterGroup("uia", "DEEP", ("user_id", "adgroup_id"))),
        f"pepnet {{\n    ppnet_hidden_units: [64, 32]\n{towers()}\n  }}",
        True,
    ),
)
