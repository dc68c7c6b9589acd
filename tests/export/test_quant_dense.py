"""Linear layers in INT8 stay near the model, and are what the reference quantizer makes of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from recinfer import load_scorer
from recinfer.errors import ParityError, UsageError
from recinfer.export.quant_dense import dense_type_name
from recinfer.nn.int8_linear import Int8Linear
from tests.synthetic import config_of, make_table, model_of, write_export_of

WIDE = 'multi_tower { towers { input: "deep" mlp { hidden_units: [128, 64] } } final { hidden_units: 64 } }'


def int8_by_hand(linear: nn.Linear, given: torch.Tensor) -> np.ndarray:
    """Weights of 8 bits per output, inputs of 8 bits per row, products and sums in whole numbers."""
    weight, inputs = (each.detach().numpy().astype(np.float64) for each in (linear.weight, given))
    scale, step = (np.abs(each).max(1, keepdims=True) / 127 for each in (weight, inputs))
    products = np.rint(inputs / step).astype(np.int64) @ np.rint(weight / scale).astype(np.int64).T
    return np.asarray(products * step * scale.T + linear.bias.detach().numpy())


def test_a_layer_computes_in_whole_numbers() -> None:
    torch.manual_seed(0)
    linear, given = nn.Linear(96, 64), torch.randn(50, 96)
    made = Int8Linear(linear)(given).numpy()
    np.testing.assert_allclose(made, int8_by_hand(linear, given), atol=1e-5)
    assert 0 < np.abs(made - linear(given).detach().numpy()).max() < 0.05


def test_a_row_gives_the_same_bits_alone_and_beside_any_other() -> None:
    torch.manual_seed(1)
    layer = Int8Linear(nn.Linear(80, 70))
    given = torch.randn(40, 80)
    together = layer(given)
    assert torch.equal(torch.cat([layer(row.unsqueeze(0)) for row in given]), together)
    huge = layer(torch.cat([given, torch.full((1, 80), 1e6)]))
    assert torch.equal(huge[:-1], together)


@pytest.mark.parametrize("shape", [(0, 80), (1, 80), (2, 3, 80)])
def test_layers_take_any_number_of_rows_and_dimensions(shape: tuple[int, ...]) -> None:
    linear = nn.Linear(80, 70)
    layer, given = Int8Linear(linear), torch.randn(shape)
    scripted = torch.jit.script(layer)
    assert layer(given).shape == linear(given).shape and torch.equal(scripted(given), layer(given))
    torch.testing.assert_close(layer(given), linear(given), atol=0.05, rtol=0)


def test_rows_of_zeros_and_outputs_of_zeros_stay_zeros() -> None:
    linear = nn.Linear(80, 70, bias=False)
    with torch.no_grad():
        linear.weight[3] = 0
    made = Int8Linear(linear)(torch.cat([torch.zeros(1, 80), torch.randn(2, 80)]))
    assert not made[0].any() and not made[:, 3].any() and torch.isfinite(made).all()


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


def test_a_row_scores_the_same_whatever_is_scored_with_it(tmp_path: Path) -> None:
    table = make_table(60, 9)
    scorer = load_scorer(export(tmp_path / "int8", quant_dense="int8"))
    alone = np.array([scorer.score(table.slice(row, 1))["probs"][0].as_py() for row in range(60)])
    # The layers that stay in single precision round in an order that depends on the chunk.
    np.testing.assert_allclose(np.array(scorer.score(table)["probs"], np.float64), alone, atol=1e-6)


def test_an_export_that_strays_too_far_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParityError):
        export(tmp_path / "int8", quant_dense="int8", parity_bound=1e-9)
    assert not (tmp_path / "int8").exists()


def test_layers_in_int8_are_compiled_too(tmp_path: Path) -> None:
    changes = {"quant_dense": "int8", "fold_bytes": 1 << 20}
    scripted, compiled = (export(tmp_path / kind, kind=kind, **changes) for kind in ("torchscript", "aot"))
    assert json.loads((compiled / "recinfer.json").read_text())["quantized_layers"]
    table = make_table(300, 9)
    left, right = (np.array(load_scorer(each).score(table)["probs"]) for each in (scripted, compiled))
    # A rounding apart in front of a layer can be a step of its scale apart behind it.
    assert np.abs(left - right).max() < 5e-3 and np.abs(left - right).mean() < 1e-4


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
