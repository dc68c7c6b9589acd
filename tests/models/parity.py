"""What every model is held to: the reference's scores, the same ones when scripted, gradients that reach all of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch

import recinfer
from recinfer.data.parser import Parser
from recinfer.export.quantize import with_inference_tables
from recinfer.export.script import script, trace
from recinfer.features.base import Feature
from recinfer.models import Model
from tests.synthetic import make_table

TOLERANCE = 1e-5

# The last bias of an attention shifts all scores of a row alike; a softmax does not see it: its gradient is rounding.
SHIFT = ".linear.bias"


def check_golden(shared: Path, name: str, *, ill_conditioned: Sequence[str] = ()) -> None:
    """Loads a golden's weights strictly and compares every column.

    Args:
        ill_conditioned: columns whose values are differences of far larger ones: compared with the largest of them.
    """
    folder = shared / "goldens" / name
    scorer = recinfer.load_scorer(folder / "pipeline.config", folder / "weights.safetensors")
    scored = scorer.score(pq.read_table(folder / "input.parquet"))
    expected = pq.read_table(folder / "expected.parquet")
    columns = [column for column in expected.column_names if column != "row_id"]
    assert set(columns) <= set(scored.column_names)
    for column in columns:
        want = np.array(expected[column].to_pylist())
        got = np.array(scored[column].to_pylist())
        slack = TOLERANCE * max(1.0, float(np.abs(want).max()) if column in ill_conditioned else 1.0)
        np.testing.assert_allclose(got, want, rtol=TOLERANCE, atol=slack, err_msg=f"{name} {column}")


def check_scripted(model: Model, features: Sequence[Feature], seed: int = 5) -> None:
    """An FP32 script gives the eager scores on many rows, on one, on none, and on rows without any history."""
    graph = trace(with_inference_tables(model, torch.float, torch.float), features)
    scripted = script(graph)
    parser = Parser(features, for_model=True)
    table = make_table(96, seed)
    for rows in (table, table.slice(7, 1), make_table(5, seed, longest=0), table.slice(0, 0)):
        with torch.no_grad():
            want, got = model(parser(rows)), scripted(parser(rows))
        assert want.keys() == got.keys()
        for key in want:
            assert len(want[key]) == rows.num_rows
            assert got[key].shape == want[key].shape
            torch.testing.assert_close(got[key], want[key], rtol=TOLERANCE, atol=TOLERANCE)


def check_learns(model: Model, features: Sequence[Feature], *, spared: Sequence[str] = ()) -> dict[str, torch.Tensor]:
    """In training every parameter gets a gradient; returns the predictions.

    Args:
        spared: beginnings of the names of parameters that get none.
    """
    batch = Parser(features, for_model=True)(make_table(64, 3))
    torch.manual_seed(0)
    predictions: dict[str, torch.Tensor] = model.train()(batch)
    sum(torch.sum(value * torch.randn_like(value)) for value in predictions.values()).backward()  # type: ignore[union-attr]
    missing = [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
        and (parameter.grad is None or not parameter.grad.any())
        and not name.startswith(tuple(spared))
        and not name.endswith(SHIFT)
    ]
    assert not missing
    return predictions
