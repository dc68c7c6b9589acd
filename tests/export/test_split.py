"""The two parts of a model together score as the whole, for every model and every size of its inputs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from recinfer.config.load import load_pipeline_config
from recinfer.errors import ModelError
from recinfer.export.fold import fold_tables
from recinfer.export.quantize import TABLE_TYPES, with_inference_tables
from recinfer.export.script import script, trace
from recinfer.export.split import Split, split
from recinfer.features.example import ragged_batch
from tests.export.other_device import OTHER, run_elsewhere
from tests.synthetic import MODELS, config_of, model_of

CONFIGS = sorted(Path(__file__).parents[2].glob("configs/*/*.config"))
CPU = torch.device("cpu")


def parts_of(config: Any, budget: int = 0, table_type: str = "FP32") -> tuple[torch.nn.Module, list[Any], Split]:
    """The eager model with its inference tables, its features, and its two parts."""
    model, features = model_of(config)
    kind = TABLE_TYPES[table_type]
    whole = with_inference_tables(model, kind, kind)
    graph = trace(whole, features)
    batch = ragged_batch(features, 9, longest=5, seed=1)
    fold_tables(graph, model, batch, budget)
    return whole, features, split(graph, batch)


def check(whole: torch.nn.Module, features: list[Any], parts: Split) -> None:
    scripted = script(parts.sparse)
    for rows, longest in ((1, 4), (1, 0), (6, 0), (17, 9), (5, 1)):
        batch = ragged_batch(features, rows, longest=longest, seed=rows + longest)
        with torch.inference_mode():
            wanted = whole(batch)
            looked_up = scripted(batch, CPU)
            got = parts.dense(*(looked_up[name] for name in parts.inputs))
        assert list(wanted) == list(got)
        for name, scores in wanted.items():
            torch.testing.assert_close(got[name], scores, rtol=1e-4, atol=1e-5)
    elsewhere = run_elsewhere(parts.dense, [looked_up[name] for name in parts.inputs])
    assert {each.device for each in elsewhere.values()} == {OTHER}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_each_model_splits(path: Path) -> None:
    check(*parts_of(load_pipeline_config(path), budget=1 << 20))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("table_type", ["FP32", "INT8"])
def test_all_kinds_of_features_split(model: str, table_type: str) -> None:
    check(*parts_of(config_of(model), table_type=table_type))


def test_parameters_are_in_the_dense_part_and_tables_in_the_sparse_one() -> None:
    whole, _, parts = parts_of(config_of("multi_tower_din"))
    dense = {name for name, _ in parts.dense.named_parameters()}
    assert dense == {f"model.{name}" for name, _ in whole.named_parameters()}
    assert not list(parts.sparse.named_parameters())
    assert "fbgemm" in parts.sparse.code and "fbgemm" not in parts.dense.code
    assert "jagged" not in parts.dense.code


def test_equal_indices_are_made_once() -> None:
    _, _, parts = parts_of(config_of("multi_tower_din"))
    of = re.findall(r"jagged_row_of_step\((\w+)\)", parts.sparse.code)
    # The steps of the history, and the ids of a feature that is pooled by the mean.
    assert len(of) == len(set(of)) == 2


def test_a_part_that_mixes_devices_is_noticed() -> None:
    class Mixed(torch.nn.Module):
        """Makes a tensor where it is told nothing of the device."""

        def forward(self, given: torch.Tensor) -> torch.Tensor:
            return given + torch.arange(given.size(0))

    with pytest.raises(RuntimeError, match="on the same device"):
        run_elsewhere(Mixed(), [torch.zeros(3)])


def test_a_model_whose_lookups_follow_parameters_is_refused() -> None:
    class Odd(torch.nn.Module):
        """Looks steps up by a parameter's value."""

        def __init__(self, model: torch.nn.Module) -> None:
            super().__init__()
            self.model = model
            self.scale = torch.nn.Parameter(torch.ones(1))

        def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            from recinfer.nn import jagged

            out = dict(self.model(batch))
            lengths = (batch["history__movie_id.lengths"] * self.scale).to(torch.int32)
            out["probs"] = out["probs"] + jagged.padding_mask(lengths).sum(1)
            return out

    model, features = model_of(config_of("multi_tower_din"))
    graph = trace(Odd(with_inference_tables(model, torch.float, torch.float)), features)
    with pytest.raises(ModelError, match="depends on values and on parameters"):
        split(graph, ragged_batch(features, 5))
