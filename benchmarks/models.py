"""The benchmark models: configs as text, random weights, exported through recinfer.

Usage: python -m benchmarks.models deepfm OUTPUT_FOLDER
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from benchmarks import make_criteo, make_criteo_tasks, make_sequences

DIM = 16


@dataclass(frozen=True)
class Benchmark:
    """A model and its data.

    Attributes:
        config: text of the pipeline config, by vocabulary scale.
        write: makes its table: (folder, rows, seed, scale).
        sample: a small table of the same columns: (rows, scale).
    """

    config: Callable[[int], str]
    write: Callable[[Path, int, int, int], Path]
    sample: Callable[[int, int], pa.Table]


# The models that the plain loop and the bound are written for.
CONTESTED = ("deepfm", "din")


def deepfm_config(scale: int = 1) -> str:
    """DeepFM: 13 dense and 26 id features, dim 16, deep 512-256-128, final 64."""
    dense, ids, features = _criteo_features(scale)
    return (
        _head("label")
        + "\n".join(features)
        + f"""
model_config {{
  {_group("deep", [*dense, *ids], "DEEP")}
  {_group("fm", ids, "DEEP")}
  deepfm {{
    deep {{ hidden_units: [512, 256, 128] }}
    final {{ hidden_units: [64] }}
  }}
  losses {{ binary_cross_entropy {{}} }}
}}
"""
    )


def mmoe_config(scale: int = 1) -> str:
    """MMoE: the features of DeepFM, four experts 256-128, two tasks with towers 64."""
    dense, ids, features = _criteo_features(scale)
    return (
        _head("label", make_criteo_tasks.SECOND_LABEL)
        + "\n".join(features)
        + f"""
model_config {{
  {_group("all", [*dense, *ids], "DEEP")}
  mmoe {{
    expert_mlp {{ hidden_units: [256, 128] }}
    num_expert: 4
    {_task("click", "label")}
    {_task("buy", make_criteo_tasks.SECOND_LABEL)}
  }}
}}
"""
    )


def din_config(scale: int = 1) -> str:
    """MultiTowerDIN: attention 256-64 over steps of three ids of dim 16; deep tower 256-128, final 64."""
    items = make_sequences.vocabularies(make_sequences.ITEM_COLUMNS, scale)
    users = make_sequences.vocabularies(make_sequences.USER_COLUMNS, scale)
    dense = [f"dense_{number}" for number in range(make_sequences.DENSE_COLUMNS)]
    features = [_raw(name) for name in dense]
    features += [_id(name, size) for name, size in users.items()]
    features += [_id(name, size, f"{name}_emb") for name, size in items.items()]
    features += [_id(f"hist_{name}", size, f"{name}_emb", sequence=True) for name, size in items.items()]
    return (
        _head("label")
        + "\n".join(features)
        + f"""
model_config {{
  {_group("deep", [*dense, *users, *items], "DEEP")}
  {_group("history", [*items, *(f"hist_{name}" for name in items)], "SEQUENCE")}
  multi_tower_din {{
    towers {{ input: "deep" mlp {{ hidden_units: [256, 128] }} }}
    din_towers {{ input: "history" attn_mlp {{ hidden_units: [256, 64] }} }}
    final {{ hidden_units: [64] }}
  }}
  losses {{ binary_cross_entropy {{}} }}
}}
"""
    )


BENCHMARKS = {
    "deepfm": Benchmark(
        deepfm_config, make_criteo.write, lambda rows, scale: make_criteo.group(1, 0, rows, scale)
    ),
    "mmoe": Benchmark(
        mmoe_config, make_criteo_tasks.write, lambda rows, scale: make_criteo_tasks.group(1, 0, rows, scale)
    ),
    "din": Benchmark(
        din_config, make_sequences.write, lambda rows, scale: make_sequences.group(1, 0, rows, scale)
    ),
}  # fmt: skip


def build(name: str, scale: int = 1, seed: int = 0) -> tuple[Any, list[Any], torch.nn.Module]:
    """Config, features and model with random weights, in eval mode."""
    from recinfer.config.load import parse_pipeline_config
    from recinfer.features import build_features
    from recinfer.models import build_model

    config = parse_pipeline_config(BENCHMARKS[name].config(scale))
    features = build_features(config)
    torch.manual_seed(seed)
    model = build_model(config, features).eval()
    for parameter_name, parameter in model.named_parameters():
        if ".embedding_bags." in parameter_name or ".embeddings." in parameter_name:
            torch.nn.init.normal_(parameter.data, std=0.3)
    return config, features, model


def export(name: str, folder: Path, scale: int = 1, seed: int = 0, **changes: Any) -> Path:
    """Exports the model; does nothing where the export is already there. ``changes`` replace fields of the job."""
    from recinfer.export.exporter import ExportJob, write_export

    if (folder / "recinfer.json").exists():
        return folder
    config, features, model = build(name, scale, seed)
    job = ExportJob(
        config=config,
        model=model,
        features=features,
        fingerprint=f"benchmark-{name}-{scale}-{seed}",
        quant_emb="FP32",
        quant_ec_emb="FP32",
        parity_rows=lambda: (BENCHMARKS[name].sample(512, scale), "generated"),
        parity_bound=1e-4,
    )
    job = replace(job, **changes)
    write_export(job, folder, overwrite=folder.exists())
    return folder


def checkpoint(name: str, folder: Path, scale: int = 1, seed: int = 0) -> Path:
    """A model folder with the config and one checkpoint of the model; nothing is done where it is already there."""
    from recinfer.config.save import save_pipeline_config
    from recinfer.train.checkpoint import Position, TrainState, save
    from recinfer.train.learner import ModelHolder

    if not (folder / "model.ckpt-0").exists():
        config, _, model = build(name, scale, seed)
        config.model_dir = str(folder)
        save(TrainState(ModelHolder(model)), Position(), folder)
        save_pipeline_config(config, folder / "pipeline.config")
    return folder


def _head(*labels: str) -> str:
    fields = " ".join(f'label_fields: "{label}"' for label in labels)
    return f"data_config {{ dataset_type: ParquetDataset fg_mode: FG_NONE {fields} }}\n"


def _criteo_features(scale: int) -> tuple[list[str], list[str], list[str]]:
    """Names of the dense features and of the ids, and the config's text of each."""
    dense = [f"dense_{number}" for number in range(make_criteo.DENSE_COLUMNS)]
    sizes = {f"cat_{number}": size for number, size in enumerate(make_criteo.vocabularies(scale))}
    return dense, list(sizes), [*map(_raw, dense), *(_id(name, size) for name, size in sizes.items())]


def _task(name: str, label: str) -> str:
    return (
        f'task_towers {{ tower_name: "{name}" label_name: "{label}" mlp {{ hidden_units: 64 }} '
        "losses { binary_cross_entropy {} } }"
    )


def _raw(name: str) -> str:
    return f'feature_configs {{ raw_feature {{ feature_name: "{name}" }} }}'


def _id(name: str, buckets: int, table: str = "", sequence: bool = False) -> str:
    kind = "sequence_id_feature" if sequence else "id_feature"
    shared = f' embedding_name: "{table}"' if table else ""
    length = f" sequence_length: {make_sequences.LONGEST}" if sequence else ""
    return (
        f'feature_configs {{ {kind} {{ feature_name: "{name}" embedding_dim: {DIM} num_buckets: {buckets}'
        f"{shared}{length} }} }}"
    )


def _group(name: str, features: list[str], kind: str) -> str:
    names = " ".join(f'feature_names: "{feature}"' for feature in features)
    return f'feature_groups {{ group_name: "{name}" {names} group_type: {kind} }}'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=sorted(BENCHMARKS))
    parser.add_argument("output", type=Path)
    given = parser.parse_args()
    print(export(given.model, given.output))


if __name__ == "__main__":
    main()
