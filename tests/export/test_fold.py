"""Small tables multiplied into layers: the same scores as the model that multiplies, row by row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from recinfer.config.load import parse_pipeline_config
from recinfer.export.fold import FoldReport, fold_tables
from recinfer.export.quantize import TABLE_TYPES, with_inference_tables
from recinfer.export.script import script, trace
from recinfer.nn.folded import FoldedIds
from recinfer.predict.model_scorer import ModelScorer
from tests.synthetic import model_of, write_export_of

SIZES = {"colour": 7, "shape": 30, "brand": 500}
FEATURES = """
data_config { batch_size: 64 dataset_type: ParquetDataset label_fields: "liked" fg_mode: FG_NONE }
feature_configs { raw_feature { feature_name: "price" } }
feature_configs { raw_feature { feature_name: "profile" value_dim: 3 } }
""" + "".join(
    f'feature_configs {{ id_feature {{ feature_name: "{name}" embedding_dim: 8 num_buckets: {size} {more} }} }}'
    for name, size, more in [
        *((name, size, "") for name, size in SIZES.items()),
        ("lookalike", 30, 'embedding_name: "shape_emb"'),
        ("average", 5, 'pooling: "mean"'),
    ]
)
IDS = [*SIZES, "lookalike", "average"]
DEEP = ["price", "colour", "shape", "profile", "brand", "lookalike", "average"]
MODELS = {
    "deepfm": "deepfm { deep { hidden_units: [16, 8] } final { hidden_units: 8 } }",
    "dcn_v2": "dcn_v2 { cross { cross_num: 2 low_rank: 4 } deep { hidden_units: 16 } final { hidden_units: 8 } }",
    "mmoe": """mmoe {
      expert_mlp { hidden_units: [12, 8] } num_expert: 3
      task_towers { tower_name: "a" label_name: "liked" mlp { hidden_units: 8 } losses { binary_cross_entropy {} } }
      task_towers { tower_name: "b" label_name: "liked" mlp { hidden_units: 8 } losses { binary_cross_entropy {} } }
    }""",
}


def config_of(model: str) -> Any:
    groups = {"deep": DEEP, "fm": IDS} if model == "deepfm" else {"all": DEEP}
    text = " ".join(
        f'feature_groups {{ group_name: "{name}" group_type: DEEP '
        + " ".join(f'feature_names: "{each}"' for each in names)
        + " }"
        for name, names in groups.items()
    )
    return parse_pipeline_config(f"{FEATURES} model_config {{ {text} {MODELS[model]} }}")


def make_table(rows: int, most: int, seed: int) -> pa.Table:
    """Features with up to ``most`` ids a row, or exactly one where ``most`` is 0."""
    rng = np.random.default_rng(seed)

    def ids(size: int) -> list[list[int]]:
        counts = np.ones(rows, np.int64) if most == 0 else rng.integers(0, most + 1, rows)
        return [rng.integers(0, size, count).tolist() for count in counts]

    sizes = {**SIZES, "lookalike": 30, "average": 5}
    columns: dict[str, Any] = {name: ids(size) for name, size in sizes.items()}
    columns["price"] = rng.standard_normal(rows).tolist()
    columns["profile"] = rng.standard_normal((rows, 3)).tolist()
    return pa.table(columns)


def fold(model: str, budget: int) -> tuple[ModelScorer, torch.jit.ScriptModule, FoldReport]:
    """The eager model, the folded one, and what was folded."""
    config = config_of(model)
    built, features = model_of(config)
    eager = ModelScorer(built, features, "eager", config.data_config)
    graph = trace(with_inference_tables(built, TABLE_TYPES["FP32"], TABLE_TYPES["FP32"]), features)
    report = fold_tables(graph, built, eager.parser(make_table(50, 2, 0)), budget)
    return eager, script(graph).eval(), report


@pytest.mark.parametrize("model", MODELS)
def test_folded_models_score_alike_whatever_the_number_of_ids(model: str) -> None:
    eager, folded, report = fold(model, 1 << 20)
    # Mean-pooled tables are no sums of products.
    assert set(report.features) == {"colour", "shape", "brand", "lookalike"}
    for rows, most in ((40, 0), (40, 3), (1, 0), (1, 3), (8, 1)):
        tensors = eager.parser(make_table(rows, most, rows + most))
        with torch.inference_mode():
            wanted, got = eager.run(tensors), folded(tensors, torch.device("cpu"))
        assert set(wanted) == set(got)
        for name, scores in wanted.items():
            np.testing.assert_allclose(got[name].numpy(), scores.numpy(), rtol=1e-5, atol=1e-6)


def test_every_layer_over_the_columns_is_folded() -> None:
    _, _, report = fold("mmoe", 1 << 20)
    # Three experts and two gates read the same columns: 3 x 12 + 2 x 3 wide, over 7 + 30 + 500 + 30 rows of floats.
    assert len(report.layers) == 5
    assert report.bytes == (7 + 30 + 500 + 30) * (3 * 12 + 2 * 3) * 4


def test_the_smallest_tables_go_first_and_the_budget_holds() -> None:
    _, _, report = fold("deepfm", (7 + 30) * 16 * 4)
    assert report.features == ["colour", "shape"] and report.bytes == (7 + 30) * 16 * 4


def test_nothing_is_folded_without_a_budget() -> None:
    eager, plain, report = fold("deepfm", 0)
    assert report == FoldReport()
    tensors = eager.parser(make_table(9, 2, 1))
    with torch.inference_mode():
        assert torch.allclose(plain(tensors, torch.device("cpu"))["probs"], eager.run(tensors)["probs"], atol=1e-6)


def test_features_with_many_ids_a_row_are_left_to_their_tables() -> None:
    config = config_of("deepfm")
    built, features = model_of(config)
    eager = ModelScorer(built, features, "eager", config.data_config)
    graph = trace(with_inference_tables(built, TABLE_TYPES["FP32"], TABLE_TYPES["FP32"]), features)
    assert fold_tables(graph, built, eager.parser(make_table(50, 20, 0)), 1 << 20).features == []


def test_bags_are_row_by_row() -> None:
    ids = FoldedIds([0, 10], 99)
    values = [torch.tensor([1, 2, 3]), torch.tensor([4, 5])]
    bags, offsets = ids(
        values, [torch.tensor([2, 0, 1], dtype=torch.int32), torch.tensor([0, 2, 0], dtype=torch.int32)]
    )
    assert [sorted(part.tolist()) for part in torch.tensor_split(bags, offsets.tolist()[1:])] == [
        [1, 2, 99],
        [14, 15, 99],
        [3, 99],
    ]
    one = torch.ones(2, dtype=torch.int32)
    bags, offsets = ids([torch.tensor([1, 2]), torch.tensor([3, 4])], [one, one])
    assert bags.tolist() == [1, 13, 99, 2, 14, 99] and offsets.tolist() == [0, 3]


def test_an_export_says_what_it_folded(tmp_path: Path) -> None:
    config = config_of("deepfm")
    built, features = model_of(config)
    changes: dict[str, Any] = {"config": config, "model": built, "features": features}
    parity_rows = (make_table(50, 1, 3), "made up")
    folder = write_export_of("deepfm", tmp_path / "export", parity_rows=lambda: parity_rows, **changes)
    assert json.loads((folder / "recinfer.json").read_text())["folded"]["features"][0] == "colour"
    # The layer's own weights are not kept beside the products.
    scripted = torch.jit.load(str(folder / "scripted_model.pt"))
    names = {name for name, _ in scripted.named_parameters()} | {name for name, _ in scripted.named_buffers()}
    assert "folded_0.products_0.table" in names
    assert "model.deep_mlp.mlp.1.perceptron.0.weight" in names
    assert "model.deep_mlp.mlp.0.perceptron.0.weight" not in names
