"""Ranking models: one label, one score."""

from __future__ import annotations

from recinfer.catalogue.facts import ANY, FIRST, GroupNeed, ModelFacts, StarterGroup

IDS = ("user_id", "adgroup_id", "cate_id")
ONE_WIDTH = "embeddings, all of one embedding_dim"
WHOLE = GroupNeed(FIRST, "DEEP", "any features")
DEEP_ONLY = (StarterGroup("deep", "DEEP", (*IDS, "ad_ctr")),)
WIDE_AND_DEEP = (StarterGroup("wide", "WIDE", IDS), *DEEP_ONLY)
DENSE_AND_SPARSE = (StarterGroup("dense", "DEEP", ("ad_ctr",)), StarterGroup("sparse", "DEEP", IDS))
SPARSE_NEEDS = (
    GroupNeed("sparse", "DEEP", f"{ONE_WIDTH}; any name where it is the only group"),
    GroupNeed("dense", "DEEP", "numbers, which dense_mlp turns into one more embedding", optional=True),
)

RANKING = (
    ModelFacts(
        "wide_and_deep",
        "Wide & Deep",
        "a linear part beside an MLP",
        "Cheng et al., DLRS 2016",
        "https://arxiv.org/abs/1606.07792",
        (GroupNeed("wide", "WIDE", "ids, each with weights of its own"), GroupNeed("deep", "DEEP", "any features")),
        WIDE_AND_DEEP,
        "wide_and_deep { deep { hidden_units: [64, 32] } }",
    ),
    ModelFacts(
        "deepfm",
        "DeepFM",
        "a linear part, a factorization machine and an MLP side by side",
        "Guo et al., IJCAI 2017",
        "https://arxiv.org/abs/1703.04247",
        (
            GroupNeed("deep", "DEEP", "any features"),
            GroupNeed("fm", "DEEP", f"{ONE_WIDTH}; without it `deep` serves, if it is so", optional=True),
            GroupNeed("wide", "WIDE", "ids, each with weights of its own", optional=True),
        ),
        (WIDE_AND_DEEP[0], StarterGroup("fm", "DEEP", IDS), *DEEP_ONLY),
        "deepfm { deep { hidden_units: [64, 32] } }",
    ),
    ModelFacts(
        "xdeepfm",
        "xDeepFM",
        "a compressed interaction network beside an MLP",
        "Lian et al., KDD 2018",
        "https://arxiv.org/abs/1803.05170",
        (GroupNeed("wide", "DEEP", ONE_WIDTH), GroupNeed("deep", "DEEP", "any features")),
        (StarterGroup("wide", "DEEP", IDS), *DEEP_ONLY),
        "xdeepfm { cin { cin_layer_size: [16, 16] } deep { hidden_units: [64, 32] } final { hidden_units: 32 } }",
    ),
    ModelFacts(
        "multi_tower",
        "MultiTower",
        "an MLP per feature group, and one over their outputs",
        "",
        "",
        (GroupNeed(ANY, "DEEP", "any features"),),
        (StarterGroup("user", "DEEP", ("user_id",)), StarterGroup("item", "DEEP", ("adgroup_id", "cate_id", "ad_ctr"))),
        """multi_tower {
    towers { input: "user" mlp { hidden_units: [64, 32] } }
    towers { input: "item" mlp { hidden_units: [64, 32] } }
    final { hidden_units: 32 }
  }""",
    ),
    ModelFacts(
        "multi_tower_din",
        "MultiTowerDIN",
        "MultiTower with target attention over sequences (DIN)",
        "Zhou et al., KDD 2018",
        "https://arxiv.org/abs/1706.06978",
        (
            GroupNeed(ANY, "DEEP", "any features"),
            GroupNeed(ANY, "SEQUENCE", "the candidate's features (the query), and the same features of a sequence"),
        ),
        (*DEEP_ONLY, StarterGroup("clicks", "SEQUENCE", ("adgroup_id", "click_50_seq__adgroup_id"))),
        """multi_tower_din {
    towers { input: "deep" mlp { hidden_units: [64, 32] } }
    din_towers { input: "clicks" attn_mlp { hidden_units: [32, 16] } }
    final { hidden_units: 32 }
  }""",
    ),
    ModelFacts(
        "dlrm",
        "DLRM",
        "dot products of embeddings, and an MLP of the numbers",
        "Naumov et al., 2019",
        "https://arxiv.org/abs/1906.00091",
        SPARSE_NEEDS,
        DENSE_AND_SPARSE,
        "dlrm { dense_mlp { hidden_units: [32, 16] } final { hidden_units: [64, 32] } }",
    ),
    ModelFacts(
        "dcn_v1",
        "DCN v1",
        "a cross network beside an MLP",
        "Wang et al., ADKDD 2017",
        "https://arxiv.org/abs/1708.05123",
        (WHOLE,),
        DEEP_ONLY,
        "dcn_v1 { cross { cross_num: 3 } deep { hidden_units: [64, 32] } final { hidden_units: 32 } }",
    ),
    ModelFacts(
        "dcn_v2",
        "DCN v2",
        "a low-rank cross network, beside an MLP or alone",
        "Wang et al., WWW 2021",
        "https://arxiv.org/abs/2008.13535",
        (WHOLE,),
        DEEP_ONLY,
        "dcn_v2 { cross { cross_num: 3 low_rank: 16 } deep { hidden_units: [64, 32] } final { hidden_units: 32 } }",
    ),
    ModelFacts(
        "mask_net",
        "MaskNet",
        "layers whose inputs are masked by the embeddings",
        "Wang et al., DLP-KDD 2021",
        "https://arxiv.org/abs/2102.07619",
        (WHOLE,),
        DEEP_ONLY,
        """mask_net {
    mask_net_module {
      n_mask_blocks: 3 mask_block { aggregation_dim: 64 hidden_dim: 32 } top_mlp { hidden_units: 32 }
    }
  }""",
    ),
    ModelFacts(
        "wukong",
        "WuKong",
        "stacked factorization machines",
        "Zhang et al., ICML 2024",
        "https://arxiv.org/abs/2403.02545",
        SPARSE_NEEDS,
        DENSE_AND_SPARSE,
        """wukong {
    dense_mlp { hidden_units: [32, 16] }
    wukong_layers {
      lcb_feature_num: 4 fmb_feature_num: 4 compressed_feature_num: 4 feature_num_mlp { hidden_units: 32 }
    }
    final { hidden_units: 32 }
  }""",
    ),
    ModelFacts(
        "rocket_launching",
        "RocketLaunching",
        "a light network that learns beside a large one and serves alone",
        "Zhou et al., AAAI 2018",
        "https://arxiv.org/abs/1708.04106",
        (WHOLE,),
        DEEP_ONLY,
        "rocket_launching { booster_mlp { hidden_units: [128, 64] } light_mlp { hidden_units: 32 } }",
    ),
)
