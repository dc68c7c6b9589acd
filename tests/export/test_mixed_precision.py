"""Products in BF16: what autocast computes, in every kind of export, held to a bound of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import fx, nn

from recinfer import load_scorer
from recinfer.config.load import load_pipeline_config
from recinfer.errors import ParityError, UsageError
from recinfer.export.aot import write_aot
from recinfer.export.compile_options import CompileOptions
from recinfer.export.fold import fold_tables
from recinfer.export.mixed_precision import (
    MixedFoldedLinear,
    MixedLinear,
    to_bfloat16,
    to_float16,
    to_float32,
    with_mixed_precision,
)
from recinfer.export.parity import default_bound
from recinfer.export.precision import check_precision, precision_name
from recinfer.export.quantize import TABLE_TYPES, with_inference_tables
from recinfer.export.script import script, trace
from recinfer.features.example import ragged_batch
from recinfer.nn.folded import FoldedLinear
from recinfer.predict.compiled_inputs import read_interface
from tests.synthetic import make_table, model_of, write_export_of

CONFIGS = sorted(Path(__file__).parents[2].glob("configs/*/*.config"))
CPU = torch.device("cpu")


def test_a_layer_computes_what_autocast_does() -> None:
    torch.manual_seed(0)
    for linear in (nn.Linear(40, 24), nn.Linear(40, 24, bias=False)):
        given = torch.randn(30, 40)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            wanted = linear(given)
        made = MixedLinear(linear, torch.bfloat16)(given)
        assert wanted.dtype == torch.bfloat16 and made.dtype == torch.float32
        torch.testing.assert_close(made, wanted.float(), rtol=0, atol=0)


@pytest.mark.parametrize("in_place", [True, False])
def test_a_folded_layer_rounds_its_products_and_not_their_sum(in_place: bool) -> None:
    torch.manual_seed(0)
    folded = FoldedLinear(torch.randn(8, 5))
    folded.in_place = in_place
    kept, looked_up = torch.randn(6, 5), 1000 + torch.randn(6, 8)
    # Exact products of rounded numbers, rounded once more.
    products = (kept.bfloat16().double() @ folded.weight.bfloat16().double().t()).bfloat16().double()
    made = MixedFoldedLinear(folded, torch.bfloat16)(kept, looked_up.clone())
    torch.testing.assert_close(made.double(), looked_up.double() + products, rtol=0, atol=1e-3 + 2**-7)
    assert not torch.equal(made, looked_up + kept @ folded.weight.t())


class Products(nn.Module):
    """Each product that a model may hold."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 6))
        self.bias = nn.Parameter(torch.randn(6))

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
        cube = x.unsqueeze(1) * x.unsqueeze(2)
        heads = cube.unsqueeze(1)
        return [
            nn.functional.linear(x, self.weight, self.bias),
            nn.functional.linear(x, self.weight, bias=self.bias),
            x @ self.weight,
            torch.matmul(self.weight.t(), cube),
            torch.bmm(cube, cube.transpose(1, 2)),
            cube.bmm(cube),
            nn.functional.scaled_dot_product_attention(heads, heads, heads, attn_mask=mask),
        ]


def test_every_product_is_rounded_as_autocast_rounds_it() -> None:
    torch.manual_seed(0)
    module, x, mask = Products(), torch.randn(9, 6), torch.rand(9, 1, 1, 6) > 0.3
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        wanted = module(x, mask)
    graph = fx.symbolic_trace(module)
    assert with_mixed_precision(graph, "BF16") == len(wanted)
    with torch.no_grad():
        made = graph(x, mask)
    for left, right in zip(made, wanted, strict=True):
        assert left.dtype == torch.float32 and right.dtype == torch.bfloat16
        torch.testing.assert_close(left, right.float(), rtol=0, atol=0)


def test_a_sum_in_place_keeps_its_precision() -> None:
    class Sums(nn.Module):
        def forward(self, sums: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
            return sums.addmm_(left, right)

    torch.manual_seed(0)
    sums, left, right = 100 + torch.randn(4, 3), torch.randn(4, 8), torch.randn(8, 3)
    graph = fx.symbolic_trace(Sums())
    assert with_mixed_precision(graph, "BF16") == 1
    wanted = sums + (left.bfloat16() @ right.bfloat16()).float()
    torch.testing.assert_close(graph(sums.clone(), left, right), wanted, rtol=0, atol=0)


def test_fp16_rounds_to_eleven_bits() -> None:
    x = torch.tensor([1 + 2**-11 + 2**-12, 1 + 2**-8 + 2**-9])
    assert to_float32(to_float16(x)).tolist() == [1 + 2**-10, 1 + 2**-8 + 2**-9]
    assert to_float32(to_bfloat16(x)).tolist() == [1.0, 1 + 2**-7]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_each_model_scripts_and_stays_near(path: Path) -> None:
    model, features = model_of(load_pipeline_config(path))
    tables = with_inference_tables(model, TABLE_TYPES["FP32"], TABLE_TYPES["FP32"])
    graph, batch = trace(tables, features), ragged_batch(features, 30, longest=5, seed=1)
    with torch.inference_mode():
        wanted = {name: scores.clone() for name, scores in graph(batch).items()}
    fold_tables(graph, model, batch, 1 << 20)
    assert with_mixed_precision(graph, "BF16") > 1
    scripted = script(graph)
    with torch.inference_mode():
        made = scripted(batch, CPU)
    for name, scores in wanted.items():
        assert made[name].dtype == scores.dtype and bool(torch.isfinite(made[name]).all())
        if not name.startswith("logits"):
            assert (made[name] - scores).abs().max() <= default_bound(["FP32"], "none", "BF16"), name
    assert any(not torch.equal(made[name], scores) for name, scores in wanted.items())


def probs(folder: Path) -> np.ndarray:
    return np.array(load_scorer(folder).score(make_table(200, 9))["probs"])


def export(folder: Path, **changes: Any) -> Path:
    return write_export_of("multi_tower_din", folder, parity_bound=5e-2, mixed_precision="BF16", **changes)


def test_scripted_and_compiled_exports_hold_it(tmp_path: Path) -> None:
    plain = probs(write_export_of("multi_tower_din", tmp_path / "plain"))
    # Compiled for batches of 50, so that 200 rows are scored in parts.
    options = CompileOptions(most_rows=50)
    scripted, compiled = (
        probs(export(tmp_path / kind, kind=kind, compile_options=options)) for kind in ("torchscript", "aot")
    )
    assert 0 < np.abs(scripted - plain).max() <= 5e-2
    # Both round alike; where rounding falls otherwise, by a step of BF16 at most.
    assert np.abs(scripted - compiled).max() <= 4e-3 < np.abs(scripted - plain).max() * 10
    assert json.loads((tmp_path / "aot" / "recinfer.json").read_text())["types"]["mixed_precision"] == "BF16"
    interface = read_interface(tmp_path / "aot" / "compiled.json")
    assert interface.most_rows == 50 and set(interface.sizes.values()) == {(0, 50), (0, 51)}


def test_it_is_held_to_its_bound(tmp_path: Path) -> None:
    with pytest.raises(ParityError, match="above the bound of 1e-05"):
        write_export_of("multi_tower", tmp_path / "export", mixed_precision="BF16", parity_bound=1e-5)


def test_fp16_on_a_processor_is_an_error(tmp_path: Path) -> None:
    for kind in ("torchscript", "aot", "auto"):
        with pytest.raises(UsageError, match=r"FP16 is for exports that run on a GPU(.|\n)*bf16"):
            write_export_of("multi_tower", tmp_path / "export", mixed_precision="FP16", kind=kind)
    check_precision("FP16", "cuda")
    check_precision("BF16", "cpu")


def test_names() -> None:
    assert precision_name(None, None, "") == ""
    assert precision_name("none", "BF16", "FP16") == ""
    assert precision_name(None, "bf16", "FP16") == "BF16"
    assert precision_name(None, None, "FP16") == "FP16"
    with pytest.raises(UsageError, match="'INT7' is unknown"):
        precision_name("INT7")


def test_bounds_know_the_coarsest_type() -> None:
    assert default_bound(["FP32"]) == 1e-4
    assert default_bound(["FP32"], "none", "", "TF32") == default_bound(["FP32"], "none", "FP16") == 5e-3
    assert default_bound(["FP16", "FP32"], "none", "BF16") == 5e-2
    assert default_bound(["INT4"], "int8", "BF16") == 2e-1


def test_layers_whose_weights_are_read_apart_stay() -> None:
    class Apart(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x) + self.linear.weight.sum()

    module = Apart()
    graph = fx.symbolic_trace(module)
    assert with_mixed_precision(graph, "BF16") == 0
    x = torch.randn(3, 4)
    torch.testing.assert_close(graph(x), module(x), rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_each_model_compiles_in_bf16(tmp_path: Path, path: Path) -> None:
    config = load_pipeline_config(path)
    model, features = model_of(config)
    tables = with_inference_tables(model, TABLE_TYPES["FP32"], TABLE_TYPES["FP32"])
    graph = trace(tables, features)
    with_mixed_precision(graph, "BF16")

    write_aot(graph, features, tmp_path)
    assert (tmp_path / "aoti_model.pt2").is_file()
