"""Scores that are no numbers are counted and warned of, and do not stop a job."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recinfer.main.prediction import predict
from recinfer.predict.finite import rows_not_finite
from tests.synthetic import make_table

NUMBERS = st.sampled_from([0.5, -1.0, math.nan, math.inf, -math.inf])


@given(st.lists(st.tuples(NUMBERS, st.lists(NUMBERS, min_size=2, max_size=2)), max_size=20))
def test_counts_rows_with_any_such_number(rows: list[tuple[float, list[float]]]) -> None:
    batch = pa.record_batch(
        {
            "score": pa.array([row[0] for row in rows], pa.float32()),
            "probs": pa.array([row[1] for row in rows], pa.list_(pa.float32())),
            "codes": pa.array(range(len(rows)), pa.int64()),
        }
    )
    wanted = sum(not all(map(math.isfinite, [score, *probs])) for score, probs in rows)
    assert rows_not_finite(batch) == wanted


def test_a_job_goes_on_and_says_so(
    exported: Callable[[str], Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = make_table(60, 1)
    place = next(i for i, field in enumerate(table.schema) if pa.types.is_floating(field.type))
    values = table.column(place).to_pylist()
    values[3] = values[50] = math.nan
    pq.write_table(
        table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type)),
        tmp_path / "in.parquet",
    )
    summary = predict(exported("deepfm"), str(tmp_path / "in.parquet"), tmp_path / "out")
    assert (summary.rows_out, summary.rows_not_finite) == (60, 2)
    assert caplog.text.count("scores that are NaN or infinite, the first in ") == 1
