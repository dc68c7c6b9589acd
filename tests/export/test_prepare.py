"""The bound of an export is that of what it holds, not of what was asked for and had no place."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from recinfer.export.compile_options import CompileOptions
from recinfer.export.job import ExportJob
from recinfer.export.parity import BOUNDS, DENSE_BOUNDS, PRECISION_BOUNDS
from recinfer.export.prepare import bound_of, prepare
from recinfer.features.example import ragged_batch
from recinfer.nn.tiling import with_batch_size
from tests.synthetic import config_of, make_table, model_of

WIDE = 'multi_tower { towers { input: "deep" mlp { hidden_units: [128, 64] } } final { hidden_units: 64 } }'
SMALL = 'multi_tower { towers { input: "deep" mlp { hidden_units: 4 } } final { hidden_units: 4 } }'


def bound(model: str, **changes: Any) -> float:
    config = config_of(model) if " " not in model else config_of(model, groups=["deep"])
    built, features = model_of(config)
    given: dict[str, Any] = {"quant_emb": "FP32", "quant_ec_emb": "FP32", **changes}
    job = ExportJob(config, built, features, "", parity_rows=lambda: (make_table(9, 1), "made up"), **given)
    batch = with_batch_size(ragged_batch(features, 9, longest=3, seed=1), 9)
    return bound_of(job, prepare(job, batch, whole=False))


@pytest.mark.parametrize(
    ("model", "changes", "wanted"),
    [
        (WIDE, {}, BOUNDS["FP32"]),
        (WIDE, {"quant_dense": "int8"}, DENSE_BOUNDS["int8"]),
        # No layer is large enough to change.
        (SMALL, {"quant_dense": "int8"}, BOUNDS["FP32"]),
        (WIDE, {"quant_emb": "INT4"}, BOUNDS["INT4"]),
        # It has no tables of sequences.
        (WIDE, {"quant_ec_emb": "INT2"}, BOUNDS["FP32"]),
        ("multi_tower_din", {"quant_ec_emb": "INT4"}, BOUNDS["INT4"]),
        (WIDE, {"mixed_precision": "BF16"}, PRECISION_BOUNDS["BF16"]),
        # Products that a processor makes are not rounded to TF32.
        (WIDE, {"compile_options": CompileOptions(matmul_tf32=True)}, BOUNDS["FP32"]),
        (WIDE, {"quant_emb": "INT4", "parity_bound": 0.0}, 0.0),
    ],
)
def test_bounds(model: str, changes: dict[str, Any], wanted: float) -> None:
    assert bound(model, **changes) == wanted


def test_products_in_tf32_have_their_bound() -> None:
    options = CompileOptions(matmul_tf32=True, device=torch.device("cuda", 0))
    assert bound(WIDE, compile_options=options, kind="aot") == PRECISION_BOUNDS["TF32"]
