"""When an export is close enough to its model."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from recinfer.errors import ParityError
from recinfer.export.parity import Difference, ParityReport, compare


def columns(**values: Any) -> pa.Table:
    return pa.table(values)


def test_parity_is_held_on_probabilities_and_refuses_what_is_no_number() -> None:
    left = columns(logits=[1.0, 100.0], probs=[0.5, 0.25], probs_b=pa.array([[0.5, 0.5], [0.1, 0.9]]))
    right = columns(logits=[1.0, 200.0], probs=[0.5, 0.2], probs_b=pa.array([[0.5, 0.5], [0.4, 0.6]]))
    report = compare(left, right, "here", 0.2)
    assert report.worst[0] == "probs_b" and abs(report.worst[1] - 0.3) < 1e-9
    assert report.differences["logits"] == Difference(100.0, 50.0, 100.0)
    with pytest.raises(ParityError, match=r"probs_b differs by 0\.3"):
        report.check()
    compare(left, right, "here", 0.31).check()
    with pytest.raises(ParityError, match="nan"):
        compare(columns(probs=[0.5, float("nan")]), columns(probs=[0.5, 0.5]), "here", 1.0).check()
    assert json.loads(json.dumps(report.to_json()))["rows"] == 2
    ParityReport(0, "nothing", 0.0, {"logits": Difference(9.0, 9.0)}).check()


def test_every_bounded_prediction_is_held() -> None:
    nan = float("nan")
    for first, second in (("probs_a", "probs_b"), ("probs_b", "probs_a")):
        left = columns(**{first: [0.5, 0.25], second: [0.5, 0.25]})
        right = columns(**{first: [0.5, 0.25], second: [0.5, nan]})
        with pytest.raises(ParityError, match=f"{second} differs by nan"):
            compare(left, right, "here", 0.1).check()


def test_what_is_no_probability_is_held_by_its_size() -> None:
    # One unit in the last place of float32 between 4,096 and 8,192.
    left, right = columns(y=[5000.0, -7000.0]), columns(y=[5000.0, -7000.000488])
    report = compare(left, right, "here", 1e-4)
    report.check()
    assert report.limit("y") == pytest.approx(0.7)
    with pytest.raises(ParityError, match=r"y differs by 1 from the model's, above the bound of 0\.7"):
        compare(left, columns(y=[5001.0, -7000.0]), "here", 1e-4).check()
    with pytest.raises(ParityError, match="y differs by 5e-05"):
        compare(columns(y=[1e-3, 0.0]), columns(y=[1e-3, 5e-5]), "here", 1e-4).check()
    compare(columns(y=[0.0], probs=[0.5]), columns(y=[0.0], probs=[0.5]), "here", 1e-4).check()
    with pytest.raises(ParityError, match="y differs"):
        compare(columns(y=[0.0], probs=[0.5]), columns(y=[1.0], probs=[0.5]), "here", 1e-4).check()
