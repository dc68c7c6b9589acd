"""Models over plain tables and plain operators score as before, for every model and every size of its inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from recinfer.config.load import load_pipeline_config
from recinfer.errors import ModelError, UsageError
from recinfer.export.plain import with_plain_tables
from recinfer.export.quantize import TABLE_TYPES, with_inference_tables
from recinfer.export.script import trace
from recinfer.export.split import with_arguments
from recinfer.export.whole_steps import with_plain_steps
from recinfer.features.example import ragged_batch
from recinfer.nn.plain_tables import FloatTable, PackedTable
from tests.synthetic import MODELS, config_of, model_of, write_export_of

CONFIGS = sorted(Path(__file__).parents[2].glob("configs/*/*.config"))


def check(config: Any) -> None:
    model, features = model_of(config)
    graph = trace(with_plain_tables(model, torch.float, torch.float), features)
    with_plain_steps(graph, features)
    whole, keys = with_arguments(graph)
    assert "fbgemm" not in whole.code and "jagged" not in whole.code
    for rows, longest in ((1, 4), (1, 0), (6, 0), (17, 9), (5, 1)):
        batch = ragged_batch(features, rows, longest=longest, seed=rows + longest)
        with torch.no_grad():
            wanted, got = model(batch), whole(*(batch[key] for key in keys))
        assert list(wanted) == list(got)
        for name, scores in wanted.items():
            torch.testing.assert_close(got[name], scores, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_each_model_needs_plain_operators_only(path: Path) -> None:
    check(load_pipeline_config(path))


@pytest.mark.parametrize("model", MODELS)
def test_all_kinds_of_features(model: str) -> None:
    check(config_of(model))


@pytest.mark.parametrize(("bits", "bound"), [(8, 1 / 255), (4, 1 / 15), (2, 1 / 3)])
def test_packed_tables_are_off_by_half_a_step_at_most(bits: int, bound: float) -> None:
    torch.manual_seed(0)
    weight = torch.randn(50, 16)
    weight[7] = 0.25
    ids = torch.randint(0, 50, (200,))
    table = PackedTable(weight, bits)
    assert table.packed.shape == (50, 16 * bits // 8)
    spread = (weight.amax(1) - weight.amin(1))[ids]
    assert ((table(ids) - weight[ids]).abs().amax(1) <= spread * bound / 2 + 1e-6).all()


def test_half_precision_tables_are_rounded_and_nothing_else() -> None:
    weight = torch.randn(9, 4)
    ids = torch.tensor([3, 3, 0])
    assert torch.equal(FloatTable(weight.half())(ids), weight.half().float()[ids])


@pytest.mark.parametrize("table_type", ["FP16", "INT8", "INT4"])
def test_coarse_tables_stray_as_far_as_the_batched_ones(table_type: str) -> None:
    model, features = model_of(config_of("wide_and_deep"))
    kind = TABLE_TYPES[table_type]
    batch = ragged_batch(features, 200, seed=3)
    with torch.no_grad():
        exact = model(batch)["logits"]
        plain, batched = (
            (make(model, kind, kind)(batch)["logits"] - exact).abs().mean()
            for make in (with_plain_tables, with_inference_tables)
        )
    assert 0 < plain <= 1.5 * batched


def test_what_needs_a_scripted_part_is_refused_at_once(tmp_path: Path) -> None:
    for changes in ({"quant_dense": "int8"}, {"carry": frozenset({"jit"})}):
        with pytest.raises(UsageError, match="has no scripted part"):
            write_export_of("deepfm", tmp_path / "export", kind="aot-unified", **changes)
    assert not (tmp_path / "export").exists()


def test_what_does_not_compile_as_a_whole_says_so(tmp_path: Path) -> None:
    # Self-attention pads to the longest sequence, a size that depends on values.
    config = load_pipeline_config(Path(__file__).parents[2] / "configs/taobao/ple.config")
    model, features = model_of(config)
    graph = trace(with_plain_tables(model, torch.float, torch.float), features)
    from recinfer.export.unified import write_unified

    with pytest.raises(ModelError, match="does not compile"):
        write_unified(graph, features, tmp_path)
