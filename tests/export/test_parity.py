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
    assert report.differences["logits"] == Difference(100.0, 50.0)
    with pytest.raises(ParityError, match=r"probs_b differs by 0\.3"):
        report.check()
    compare(left, right, "here", 0.31).check()
    with pytest.raises(ParityError, match="nan"):
        compare(columns(probs=[0.5, float("nan")]), columns(probs=[0.5, 0.5]), "here", 1.0).check()
    assert json.loads(json.dumps(report.to_json()))["rows"] == 2
    ParityReport(0, "nothing", 0.0, {"logits": Difference(9.0, 9.0)}).check()
