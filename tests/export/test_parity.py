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


def test_what_is_no_number_in_both_is_equal() -> None:
    nan, inf = float("nan"), float("inf")
    same = columns(probs=[0.5, nan], y=[-inf, 4.0])
    report = compare(same, columns(probs=[0.25, nan], y=[-inf, 3.0]), "here", 0.3)
    assert report.differences == {"probs": Difference(0.25, 0.125, 0.5), "y": Difference(1.0, 0.5, 4.0)}
    report.check()
    compare(columns(y=[nan, nan]), columns(y=[nan, nan]), "here", 0.0).check()
    for strays in (columns(probs=[nan, nan], y=[-inf, 4.0]), columns(probs=[0.5, 0.5], y=[-inf, 4.0])):
        with pytest.raises(ParityError, match="probs differs by nan"):
            compare(same, strays, "here", 1.0).check()


@pytest.mark.parametrize("huge", [float("inf"), float("nan")])
def test_a_score_that_is_not_finite_does_not_loosen_the_bound_of_others(huge: float) -> None:
    with pytest.raises(ParityError, match=r"y differs by 1 .* above the bound of 0\.2"):
        compare(columns(y=[huge, 2.0]), columns(y=[huge, 1.0]), "here", 0.1).check()
    with pytest.raises(ParityError, match="y differs by inf"):
        compare(columns(y=[1.0, 2.0]), columns(y=[float("inf"), 2.0]), "here", 0.1).check()


def test_no_bound_hides_what_is_no_number() -> None:
    inf = float("inf")
    left, right = columns(y=[1.0], probs=[0.5]), columns(y=[inf], probs=[float("nan")])
    with pytest.raises(ParityError, match="probs differs by nan"):
        compare(left, right, "here", inf).check()


def test_a_refusal_says_what_the_bound_is_of() -> None:
    with pytest.raises(ParityError, match=r"above the bound of 0\.2, 0\.1 of its largest value \(1 row") as caught:
        compare(columns(y=[2.0]), columns(y=[1.0]), "here", 0.1).check()
    assert "--parity-bound, a part of the largest y" in (caught.value.hint or "")
    with pytest.raises(ParityError, match=r"above the bound of 0\.1 \(1 row") as caught:
        compare(columns(probs=[0.5]), columns(probs=[0.1]), "here", 0.1).check()
    assert "largest" not in (caught.value.hint or "")
