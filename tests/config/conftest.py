"""A small config that has nothing wrong with it, for tests that break it in one place."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from recinfer.config.load import parse_pipeline_config
from recinfer.protos.pipeline_pb2 import EasyRecConfig

GOOD = """
train_input_path: "train.parquet"
eval_input_path: "eval.parquet"
model_dir: "model"
data_config { batch_size: 64 dataset_type: ParquetDataset label_fields: "clk" label_fields: "buy" fg_mode: FG_NONE }
feature_configs { id_feature { feature_name: "user_id" embedding_dim: 16 hash_bucket_size: 100 } }
feature_configs { id_feature { feature_name: "item_id" embedding_name: "item" embedding_dim: 16 num_buckets: 50 } }
feature_configs { raw_feature { feature_name: "price" } }
feature_configs { raw_feature { feature_name: "age" embedding_dim: 4 boundaries: [18, 30, 50] } }
feature_configs {
  sequence_feature {
    sequence_name: "clicks" sequence_length: 20
    features { id_feature { feature_name: "item_id" embedding_name: "item" embedding_dim: 16 num_buckets: 50 } }
    features { raw_feature { feature_name: "price" } }
  }
}
model_config {
  feature_groups {
    group_name: "deep" group_type: DEEP
    feature_names: ["user_id", "item_id", "price", "age"]
    sequence_groups { group_name: "click_group" feature_names: ["item_id", "clicks__item_id", "clicks__price"] }
    sequence_encoders { din_encoder { input: "click_group" attn_mlp { hidden_units: 8 } } }
  }
  feature_groups { group_name: "seq" group_type: SEQUENCE feature_names: ["item_id", "clicks__item_id"] }
  multi_tower_din {
    towers { input: "deep" mlp { hidden_units: 8 } }
    din_towers { input: "seq" attn_mlp { hidden_units: 8 } }
    final { hidden_units: 8 }
  }
  losses { binary_cross_entropy { label_smoothing: 0.1 } }
}
"""

TASKS = """
  dbmtl {
    task_towers { tower_name: "ctr" label_name: "clk" losses { binary_cross_entropy {} } mlp { hidden_units: 8 } }
    task_towers {
      tower_name: "cvr" label_name: "buy" losses { binary_cross_entropy {} } mlp { hidden_units: 8 }
      relation_tower_names: "ctr"
    }
  }
"""


@pytest.fixture
def good() -> EasyRecConfig:
    return parse_pipeline_config(GOOD)


@pytest.fixture
def edited() -> Callable[..., EasyRecConfig]:
    """``edited((old, new), ...)``: the good config with pieces of its text replaced, each of which must be there."""

    def edit(*replacements: tuple[str, str]) -> EasyRecConfig:
        text = GOOD
        for old, new in replacements:
            assert old in text, f"the good config does not hold {old!r}"
            text = text.replace(old, new, 1)
        return parse_pipeline_config(text)

    return edit


@pytest.fixture
def multi_task(good: EasyRecConfig) -> EasyRecConfig:
    """The good config with two tasks, of which the second depends on the first."""
    tasks = parse_pipeline_config(f"model_config {{ {TASKS} }}")
    good.model_config.dbmtl.CopyFrom(tasks.model_config.dbmtl)
    return good
