"""The examples of docs/features.md are run as they stand there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.features.test_parser import parser_of

PAGE = Path(__file__).parents[2] / "docs" / "features.md"
TYPES = {
    "int64": pa.int64(),
    "double": pa.float64(),
    "string": pa.string(),
    "list<int64>": pa.list_(pa.int64()),
    "list<float>": pa.list_(pa.float32()),
}


def examples() -> list[list[str]]:
    """The cells of the table of examples, one list per line."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| feature | column type | rows |"))
    found = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip().strip("`") for cell in line.strip().strip("|").split("|")])
    return found


@pytest.mark.parametrize("cells", examples(), ids=lambda cells: cells[2])
def test_example(cells: list[str]) -> None:
    feature, kind, rows, values, lengths = cells
    column = pa.array(json.loads(rows.replace("␃", "\\u0003")), TYPES[kind])
    out = parser_of(feature)(pa.record_batch({"f": column}))
    np.testing.assert_array_equal(out["f.values"].numpy(), np.array(json.loads(values)))
    assert ("f.lengths" in out) == bool(lengths)
    if lengths:
        assert out["f.lengths"].tolist() == json.loads(lengths)


def test_there_are_examples() -> None:
    assert len(examples()) == 12
