"""Linear layers in INT8 stay near the model, and are what the reference quantizer makes of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from recinfer import load_scorer
from recinfer.errors import ModelError, ParityError, UsageError
from recinfer.export.quant_dense import dense_type_name, quantized
from recinfer.predict.model_scorer import ModelScorer
from tests.synthetic import config_of, make_table, model_of, write_export_of

WIDE = 'multi_tower { towers { input: "deep" mlp { hidden_units: [128, 64] } } final { hidden_units: 64 } }'


def int8_by_hand(linear: nn.Linear, given: torch.Tensor) -> torch.Tensor:
    """Weights of 8 bits per output channel, inputs of 7 bits for the whole batch, products in exact arithmetic."""
    weight = linear.weight.detach().double()
    scale = (weight.abs().amax(1, keepdim=True) / 127.5).clamp(min=1e-8)
    whole = (weight / scale).round().clamp(-128, 127)
    low, high = min(float(given.min()), 0.0), max(float(given.max()), 0.0)
    step = (high - low) / 127
    zero = round(-low / step)
    inputs = ((given.double() / step).round() + zero).clamp(0, 127)
    return ((inputs - zero) @ whole.t()) * step * scale.t() + linear.bias.detach().double()


def test_a_layer_computes_in_whole_numbers() -> None:
    torch.manual_seed(0)
    linear, given = nn.Linear(96, 64), torch.randn(50, 96)
    made = quantized(linear)(given)
    exact = linear(given).detach()
    error, bound = (made - exact).abs().max(), (int8_by_hand(linear, given) - exact).abs().max()
    assert 0 < error <= 1.5 * bound


def export(folder: Path, **changes: object) -> Path:
    config = config_of(WIDE, groups=["deep"])
    model, features = model_of(config)
    job = {"config": config, "model": model, "features": features, "parity_bound": 0.3, **changes}
    return write_export_of("multi_tower", folder, **job)


@pytest.mark.parametrize("fold", [0, 1 << 20])
def test_an_export_in_int8_stays_near_the_model_and_is_told(tmp_path: Path, fold: int) -> None:
    folder = export(tmp_path / "int8", quant_dense="int8", fold_bytes=fold)
    plain = export(tmp_path / "plain")
    table = make_table(300, 9)
    wanted, got = (np.array(load_scorer(each).score(table)["probs"]) for each in (plain, folder))
    assert 0 < np.abs(wanted - got).max() < 0.3 and np.abs(wanted - got).mean() < 0.05
    layers = json.loads((folder / "recinfer.json").read_text())["quantized_layers"]
    # The last layer is a single column: too small to gain.
    assert len(layers) == 3 and all("output_mlp" not in name for name in layers)


def test_a_row_scores_nearly_the_same_whatever_is_scored_with_it(tmp_path: Path) -> None:
    """Inputs are scaled by the range of their chunk: docs/export.md says so, and the parity bound covers it."""
    table = make_table(60, 9)
    config = config_of(WIDE, groups=["deep"])
    model = ModelScorer(*model_of(config), "eager", config.data_config)
    scorer = load_scorer(export(tmp_path / "int8", quant_dense="int8"))
    alone = np.array([scorer.score(table.slice(row, 1))["probs"][0].as_py() for row in range(60)])
    together, wanted = (np.array(each.score(table)["probs"], np.float64) for each in (scorer, model))
    assert 0 < np.abs(alone - together).max() < 0.3
    assert np.abs(alone - wanted).max() < 0.3
    np.testing.assert_array_equal(together, np.array(scorer.score(table)["probs"], np.float64))


def test_an_export_that_strays_too_far_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParityError):
        export(tmp_path / "int8", quant_dense="int8", parity_bound=1e-9)
    assert not (tmp_path / "int8").exists()


def test_layers_in_int8_are_not_compiled_and_auto_keeps_what_runs_everywhere(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"layers in INT8 are not compiled \(\d of them(.|\n)*not with both"):
        export(tmp_path / "aot", quant_dense="int8", kind="aot")
    assert list(tmp_path.iterdir()) == []
    folder = export(tmp_path / "auto", quant_dense="int8", kind="auto")
    manifest = json.loads((folder / "recinfer.json").read_text())
    assert manifest["kind"] == "torchscript" and manifest["quantized_layers"]
    assert "not compiled" in manifest["choice"]["failed"]["aot"]


def test_names_of_types() -> None:
    assert [dense_type_name(each) for each in ("", "INT8", "int8", "none", "0")] == [
        "none",
        "int8",
        "int8",
        "none",
        "none",
    ]
    with pytest.raises(UsageError, match="use int8 or none"):
        dense_type_name("int4")
