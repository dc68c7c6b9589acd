"""A small table whose label depends on its features, and configs that learn from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from google.protobuf import text_format

from recinfer.data.parser import Parser
from recinfer.data.readers.parquet import ParquetReader
from recinfer.features import build_features
from recinfer.models import Model, build_model
from recinfer.protos.pipeline_pb2 import EasyRecConfig
from recinfer.train.batches import BatchSource, training_options
from recinfer.train.metrics import grouping_columns

DIN = """
train_input_path: "train" eval_input_path: "eval" model_dir: "unused"
train_config {
  sparse_optimizer { adagrad_optimizer { lr: 0.05 } constant_learning_rate {} }
  dense_optimizer { adam_optimizer { lr: 0.01 } constant_learning_rate {} }
  num_epochs: 2
  use_tensorboard: false
}
eval_config {}
data_config {
  batch_size: 32 dataset_type: ParquetDataset label_fields: "clicked" fg_mode: FG_NONE
  shuffle: true shuffle_buffer_size: 3
}
feature_configs { id_feature { feature_name: "user" expression: "user:user" embedding_dim: 8 num_buckets: 20 } }
feature_configs {
  id_feature {
    feature_name: "item" expression: "item:item" embedding_dim: 8 num_buckets: 30 embedding_name: "item_emb"
  }
}
feature_configs { raw_feature { feature_name: "price" expression: "item:price" } }
feature_configs {
  sequence_id_feature {
    feature_name: "history" expression: "user:history" sequence_length: 5 sequence_delim: ";"
    embedding_dim: 8 num_buckets: 30 embedding_name: "item_emb"
  }
}
model_config {
  feature_groups {
    group_name: "deep" feature_names: "user" feature_names: "item" feature_names: "price" group_type: DEEP
  }
  feature_groups { group_name: "seq" feature_names: "item" feature_names: "history" group_type: SEQUENCE }
  multi_tower_din {
    towers { input: "deep" mlp { hidden_units: 16 dropout_ratio: 0.1 } }
    din_towers { input: "seq" attn_mlp { hidden_units: 8 } }
    final { hidden_units: 8 }
  }
  metrics { auc { thresholds: 1000 } }
  metrics { grouped_auc { grouping_key: "user" } }
  losses { binary_cross_entropy {} }
}
"""


def make_table(rows: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    user, item = rng.integers(0, 20, rows), rng.integers(0, 30, rows)
    price = rng.normal(size=rows)
    history = [rng.integers(0, 30, rng.integers(0, 6)).tolist() for _ in range(rows)]
    signal = np.sin(user * 1.7) + np.cos(item * 2.3) + price
    return pa.table(
        {
            "user": pa.array(user),
            "item": pa.array(item),
            "price": pa.array(price, pa.float32()),
            "history": pa.array(history, pa.list_(pa.int64())),
            "clicked": pa.array((signal > 0).astype(np.int64)),
            "weight": pa.array(rng.uniform(0.5, 1.5, rows), pa.float32()),
            "row": pa.array(np.arange(rows)),
        }
    )


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.parquet (two row groups), 210 rows, and eval.parquet, 150 rows."""
    folder = tmp_path_factory.mktemp("rows")
    pq.write_table(make_table(210, 1), folder / "train.parquet", row_group_size=120)
    pq.write_table(make_table(150, 2), folder / "eval.parquet")
    return folder


@pytest.fixture()
def config() -> Any:
    return text_format.Parse(DIN, EasyRecConfig())


@pytest.fixture()
def edit(config: Any) -> Callable[[str], Any]:
    """Merges text into the config."""

    def merge(text: str) -> Any:
        text_format.Merge(text, config)
        return config

    return merge


def new_model(config: Any, seed: int = 3) -> Model:
    torch.manual_seed(seed)
    return build_model(config, build_features(config))


def source(config: Any, path: Path, seed: int = 5, **changes: Any) -> BatchSource:
    """Batches of a Parquet file; ``changes`` replace options."""
    from dataclasses import replace

    features = build_features(config)
    options = training_options(config.data_config, grouping_columns(new_model(config).tasks))
    return BatchSource(ParquetReader(str(path)), Parser(features), replace(options, **changes), seed)
