"""A small table like MovieLens with everything that columns can hold, and one config per model that reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from recinfer.config.load import parse_pipeline_config
from recinfer.export.exporter import ExportJob, write_export
from recinfer.features import build_features
from recinfer.features.base import Feature
from recinfer.features.used import used_features
from recinfer.models import Model, build_model

USERS, MOVIES, GENRES, TAGS, STEPS = 50, 40, 18, 30, 6

FEATURES = f"""
data_config {{ batch_size: 64 dataset_type: ParquetDataset label_fields: "liked" fg_mode: FG_NONE }}
feature_configs {{ id_feature {{ feature_name: "user_id" embedding_dim: 8 hash_bucket_size: {USERS} }} }}
feature_configs {{
  id_feature {{ feature_name: "movie_id" embedding_dim: 8 num_buckets: {MOVIES} embedding_name: "movie" }}
}}
feature_configs {{ id_feature {{ feature_name: "genres" embedding_dim: 8 num_buckets: {GENRES} pooling: "mean" }} }}
feature_configs {{ id_feature {{ feature_name: "tags" embedding_dim: 8 num_buckets: {TAGS} weighted: true }} }}
feature_configs {{
  raw_feature {{ feature_name: "age" embedding_dim: 8 boundaries: [18, 25, 35, 45] fg_encoded_default_value: "0" }}
}}
feature_configs {{ raw_feature {{ feature_name: "rating" fg_encoded_default_value: "3.5" }} }}
feature_configs {{ raw_feature {{ feature_name: "profile" value_dim: 3 }} }}
feature_configs {{ raw_feature {{ feature_name: "popularity" embedding_dim: 8 mlp {{}} }} }}
feature_configs {{
  raw_feature {{
    feature_name: "recency" embedding_dim: 8 autodis {{ num_channels: 3 temperature: 0.5 keep_prob: 0.8 }}
  }}
}}
feature_configs {{
  sequence_feature {{
    sequence_name: "history" sequence_length: {STEPS} sequence_delim: ";"
    features {{
      id_feature {{
        feature_name: "movie_id" embedding_dim: 8 num_buckets: {MOVIES} embedding_name: "movie" value_dim: 1
      }}
    }}
    features {{
      id_feature {{ feature_name: "genres" embedding_dim: 4 num_buckets: {GENRES} value_dim: 0 pooling: "mean" }}
    }}
    features {{ raw_feature {{ feature_name: "rating" }} }}
    features {{ raw_feature {{ feature_name: "mood" value_dim: 2 }} }}
  }}
}}
"""

SPARSE = ["user_id", "movie_id", "genres", "tags", "age"]
DEEP = [*SPARSE, "rating", "profile", "popularity", "recency"]
SEQUENCE = ["movie_id", "rating", *(f"history__{name}" for name in ("movie_id", "genres", "rating", "mood"))]

GROUPS: dict[str, tuple[str, list[str]]] = {
    "wide": ("WIDE", SPARSE),
    "deep": ("DEEP", DEEP),
    "fm": ("DEEP", [*SPARSE, "popularity", "recency"]),
    "users": ("DEEP", ["user_id", "age", "profile"]),
    "seq": ("SEQUENCE", SEQUENCE),
}

MODELS: dict[str, tuple[list[str], str]] = {
    "wide_and_deep": (
        ["wide", "deep"],
        """wide_and_deep {
          deep { hidden_units: [16, 8] use_bn: true } final { hidden_units: 8 } wide_embedding_dim: 8
        }""",
    ),
    "deepfm": (
        ["wide", "deep", "fm"],
        "deepfm { deep { hidden_units: [16, 8] } final { hidden_units: 8 } wide_embedding_dim: 8 }",
    ),
    "multi_tower": (
        ["users", "deep"],
        """multi_tower {
          towers { input: "users" mlp { hidden_units: 8 activation: "Dice" } } towers { input: "deep" }
          final { hidden_units: 8 use_ln: true }
        }""",
    ),
    "multi_tower_din": (
        ["deep", "seq"],
        """multi_tower_din {
          towers { input: "deep" mlp { hidden_units: 16 } }
          din_towers { input: "seq" attn_mlp { hidden_units: [8, 4] activation: "nn.Sigmoid" } }
          final { hidden_units: 8 }
        }""",
    ),
}


def group_text(name: str) -> str:
    """The text of one of :data:`GROUPS`."""
    kind, members = GROUPS[name]
    names = " ".join(f'feature_names: "{member}"' for member in members)
    return f'feature_groups {{ group_name: "{name}" group_type: {kind} {names} }}'


def config_of(
    model: str,
    *,
    groups: list[str] | None = None,
    features: str = FEATURES,
    loss: str = "binary_cross_entropy {}",
    num_class: int = 1,
) -> Any:
    """The config of one of :data:`MODELS`, or of a model's text with its groups."""
    default, text = MODELS.get(model, ([], model))
    members = " ".join(group_text(name) for name in (default if groups is None else groups))
    return parse_pipeline_config(
        f"{features} model_config {{ {members} {text} losses {{ {loss} }} num_class: {num_class} }}"
    )


def model_of(config: Any, seed: int = 0) -> tuple[Model, list[Feature]]:
    """A model in eval mode with random parameters and statistics, and the features that it reads."""
    torch.manual_seed(seed)
    features = build_features(config)
    model = build_model(config, features).eval()
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            if tensor.is_floating_point():
                tensor.normal_(0.0, 0.3)
        for name, buffer in model.named_buffers():
            if name.endswith("running_var"):
                buffer.abs_().add_(0.5)
    return model, used_features(config, features)


def write_export_of(model: str, folder: Path, /, **changes: Any) -> Path:
    """An export of one of :data:`MODELS` with random parameters; ``changes`` replace fields of the job."""
    config = config_of(model)
    built, features = model_of(config)
    job: dict[str, Any] = {
        "config": config,
        "model": built,
        "features": features,
        "fingerprint": f"random {model}",
        "quant_emb": "FP32",
        "quant_ec_emb": "FP32",
        "parity_rows": lambda: (make_table(200, 5), "made up"),
        "parity_bound": 1e-4,
    }
    write_export(ExportJob(**{**job, **changes}), folder)
    return folder


def make_table(rows: int, seed: int, *, nulls: float = 0.1, longest: int = STEPS) -> pa.Table:
    """Rows of random features, null or empty with the given probability.

    Columns: ``row_id`` int64, ``code`` (strings of digits with leading zeros), ``liked`` 0 or 1, and the features.
    """
    rng = np.random.default_rng(seed)

    def column(kind: pa.DataType, values: list[Any]) -> pa.Array:
        empty = rng.random(rows) < nulls
        return pa.array([None if gone else value for gone, value in zip(empty, values, strict=True)], kind)

    def ids(most: int, high: int) -> list[list[int]]:
        return [rng.integers(0, high, count).tolist() for count in rng.integers(0, most + 1, rows)]

    def floats(*shape: int) -> list[Any]:
        return list(rng.normal(size=(rows, *shape)).astype(np.float32).tolist())

    steps = rng.integers(0, longest + 1, rows)
    steps[rng.random(rows) < 0.15] = longest
    history = [None if rng.random() < nulls else count for count in steps.tolist()]

    def sequence(kind: pa.DataType, step: Any) -> pa.Array:
        return pa.array([None if n is None else [step() for _ in range(n)] for n in history], pa.list_(kind))

    return pa.table(
        {
            "row_id": pa.array(range(rows), pa.int64()),
            "code": pa.array([f"{number:05d}" for number in rng.integers(0, 99999, rows)]),
            "liked": pa.array(rng.integers(0, 2, rows)),
            "user_id": column(pa.int64(), rng.integers(0, USERS, rows).tolist()),
            "movie_id": column(pa.int32(), rng.integers(0, MOVIES, rows).tolist()),
            "genres": column(pa.list_(pa.int64()), ids(4, GENRES)),
            "tags": column(
                pa.map_(pa.int64(), pa.float32()),
                [[(tag, float(rng.normal())) for tag in tags] for tags in ids(3, TAGS)],
            ),
            "age": column(pa.int64(), rng.integers(0, 5, rows).tolist()),
            "rating": column(pa.float32(), floats()),
            "profile": column(pa.list_(pa.float32()), floats(3)),
            "popularity": column(pa.float64(), floats()),
            "recency": column(pa.float32(), floats()),
            "history__movie_id": sequence(pa.int64(), lambda: int(rng.integers(0, MOVIES))),
            "history__genres": sequence(
                pa.list_(pa.int64()), lambda: rng.integers(0, GENRES, rng.integers(0, 4)).tolist()
            ),
            "history__rating": sequence(pa.float32(), lambda: float(rng.normal())),
            "history__mood": sequence(pa.list_(pa.float32()), lambda: rng.normal(size=2).tolist()),
        }
    )
