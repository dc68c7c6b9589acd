"""List, map and struct columns as JSON text, for formats that know only plain values."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc


def is_nested(kind: pa.DataType) -> bool:
    """Whether a type has no plain text of its own."""
    return pa.types.is_nested(kind)


def json_text(column: pa.Array) -> pa.Array:
    """Each value as JSON; null stays null, nulls inside are ``null``. Lists of numbers cost no Python step each."""
    kind = column.type
    if pa.types.is_fixed_size_list(kind):
        return json_text(column.cast(pa.list_(kind.value_type)))
    if pa.types.is_large_list(kind):
        return json_text(column.cast(pa.list_(kind.value_type)))
    if pa.types.is_list(kind):
        inner = column.flatten() if column.null_count == 0 else column.drop_null().flatten()
        texts = pc.fill_null(_value_text(inner), "null")
        lengths = pc.fill_null(pc.list_value_length(column), 0)
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths).cast(pa.int32())])
        joined = pc.binary_join(pa.ListArray.from_arrays(offsets, texts), ",")
        return pc.if_else(
            column.is_valid(), pc.binary_join_element_wise("[", joined, "]", ""), pa.scalar(None, pa.string())
        )
    values = column.to_pylist(maps_as_pydicts="lossy")
    return pa.array(
        [None if value is None else json.dumps(value, ensure_ascii=False, default=str) for value in values], pa.string()
    )


def _value_text(values: pa.Array) -> pa.Array:
    if pa.types.is_floating(values.type):
        # Python's json reads NaN and Infinity by these names.
        text = pc.cast(values, pa.string())
        for arrow, name in (("nan", "NaN"), ("inf", "Infinity"), ("-inf", "-Infinity")):
            text = pc.if_else(pc.equal(text, arrow), name, text)
        return text
    if pa.types.is_integer(values.type) or pa.types.is_boolean(values.type):
        return pc.cast(values, pa.string())
    return json_text(values)
