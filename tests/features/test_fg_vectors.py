"""The FG_NONE cases of the reference's own tests, through the public parser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from recinfer import load_parser
from recinfer.config.load import parse_pipeline_config

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "fg_vectors.json").read_text(encoding="utf-8"))
CASES = [case for case in VECTORS if case["fg_mode"] == "FG_NONE"]

TYPES = {
    "int64": pa.int64(),
    "double": pa.float64(),
    "string": pa.string(),
    "map<int64, float>": pa.map_(pa.int64(), pa.float32()),
    "list<item: int64>": pa.list_(pa.int64()),
    "list<item: double>": pa.list_(pa.float64()),
    "list<item: list<item: int64>>": pa.list_(pa.list_(pa.int64())),
    "list<item: list<item: double>>": pa.list_(pa.list_(pa.float64())),
}


def config_of(case: dict[str, Any]) -> Any:
    sequence = case["sequence"]
    feature = case["config"]
    if sequence is not None and sequence["grouped"]:
        feature = f"""sequence_feature {{
          sequence_name: "{sequence["sequence_name"]}" sequence_length: {sequence["sequence_length"]}
          sequence_delim: "{sequence["sequence_delim"]}" sequence_pk: "{sequence["sequence_pk"]}"
          features {{ {feature} }}
        }}"""
    return parse_pipeline_config(f"data_config {{ fg_mode: FG_NONE }} feature_configs {{ {feature} }}")


def test_there_are_cases() -> None:
    assert len(CASES) == 29


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_reference_case(case: dict[str, Any]) -> None:
    ((name, column),) = case["input"].items()
    expect = case["expect"]
    parser = load_parser(config_of(case))
    assert parser.columns == [expect.get("name", name)]

    cells = [[tuple(pair) for pair in cell] for cell in column["values"]] if "map" in column["arrow_type"] else None
    out = parser(pa.record_batch({name: pa.array(cells or column["values"], TYPES[column["arrow_type"]])}))

    found = {key.removeprefix(f"{name}."): tensor.numpy() for key, tensor in out.items()}
    wanted = {"seq_lengths": "lengths"}
    for what in ("values", "lengths", "weights", "key_lengths", "seq_lengths"):
        if what not in expect:
            continue
        key = wanted.get(what, what)
        values = found.pop(key, np.ones(len(expect[what]), np.int32) if key == "key_lengths" else None)
        np.testing.assert_allclose(values, expect[what], rtol=1e-6)
    assert not found, f"not expected: {found}"
