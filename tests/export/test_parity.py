"""When an export is close enough to its model."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from recinfer.errors import ParityError
from recinfer.export.parity import Difference, ParityReport, compare


class Fixed:
    """Scores whatever it is told to."""

    def __init__(self, **columns: Any) -> None:
        self.columns = columns

    def score(self, table: pa.Table) -> pa.Table:
        del table
        return pa.table(self.columns)


def test_parity_is_held_on_probabilities_and_refuses_what_is_no_number() -> None:
    rows = pa.table({"x": [1, 2]})
    left = Fixed(logits=[1.0, 100.0], probs=[0.5, 0.25], probs_b=pa.array([[0.5, 0.5], [0.1, 0.9]]))
    right = Fixed(logits=[1.0, 200.0], probs=[0.5, 0.2], probs_b=pa.array([[0.5, 0.5], [0.4, 0.6]]))
    report = compare(left, right, rows, "here", 0.2)
    assert report.worst[0] == "probs_b" and abs(report.worst[1] - 0.3) < 1e-9
    assert report.differences["logits"] == Difference(100.0, 50.0)
    with pytest.raises(ParityError, match=r"probs_b differs by 0\.3"):
        report.check()
    compare(left, right, rows, "here", 0.31).check()
    with pytest.raises(ParityError, match="nan"):
        compare(Fixed(probs=[0.5, float("nan")]), Fixed(probs=[0.5, 0.5]), rows, "here", 1.0).check()
    assert json.loads(json.dumps(report.to_json()))["rows"] == 2
    ParityReport(0, "nothing", 0.0, {"logits": Difference(9.0, 9.0)}).check()
