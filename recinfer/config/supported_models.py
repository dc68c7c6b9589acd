"""The models that can be built, as the config names them: known without importing any of them."""

from __future__ import annotations

SUPPORTED_MODELS = (
    *("dbmtl", "dc2vr", "dcn_v1", "dcn_v2", "deepfm", "dlrm", "mask_net", "mmoe", "multi_tower", "multi_tower_din"),
    *("pepnet", "ple", "rocket_launching", "simple_multi_task", "wide_and_deep", "wukong", "xdeepfm"),
)
