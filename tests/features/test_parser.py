"""The column parser against the row-by-row one of ``slow_parser.py``, over generated columns of every type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from recinfer import load_parser
from recinfer.config.load import parse_pipeline_config
from recinfer.data.parser import Parser
from tests.features import slow_parser as slow

BUCKETS = 1000
ids = st.integers(0, BUCKETS - 1)
floats = st.floats(width=32, allow_infinity=False, allow_nan=False)
few = {"max_size": 4}


def text_of(values: SearchStrategy[Any], separator: str = slow.SEPARATOR) -> SearchStrategy[str]:
    """Values as an encoded string, with empty pieces here and there."""
    return st.lists(st.one_of(values.map(str), st.just("")), **few).map(separator.join)  # type: ignore[arg-type]


def maybe(values: SearchStrategy[Any]) -> SearchStrategy[Any]:
    return st.one_of(st.none(), values)


def lists(values: SearchStrategy[Any]) -> SearchStrategy[Any]:
    return st.lists(values, **few)  # type: ignore[arg-type]


def parser_of(feature: str) -> Parser:
    return load_parser(parse_pipeline_config(f"data_config {{ fg_mode: FG_NONE }} feature_configs {{ {feature} }}"))


@st.composite
def columns(draw: st.DrawFn, cells: SearchStrategy[Any], kind: pa.DataType) -> tuple[list[Any], pa.ChunkedArray]:
    """Cells, and a column of them in one or two chunks, each a slice out of the middle of a longer array."""

    def chunk(part: list[Any]) -> pa.Array:
        before, after = draw(st.lists(maybe(cells), max_size=2)), draw(st.lists(maybe(cells), max_size=2))
        return pa.array(before + part + after, kind).slice(len(before), len(part))

    drawn = draw(st.lists(maybe(cells), max_size=10))
    cut = draw(st.integers(0, len(drawn)))
    return drawn, pa.chunked_array([chunk(drawn[:cut]), chunk(drawn[cut:])], kind)


def check(feature: str, column: pa.ChunkedArray, expected: dict[str, np.ndarray]) -> None:
    """Parses a column and compares every key, bit for bit."""
    parser = parser_of(feature)
    out = parser(pa.table({"f": column}))
    found = {key.removeprefix("f."): tensor.numpy() for key, tensor in out.items()}
    if "key_lengths" in expected and "key_lengths" not in found:
        assert "value_dim: 0" not in feature
        found["key_lengths"] = np.ones(len(found["values"]), np.int32)
    assert found.keys() == expected.keys()
    for key, array in expected.items():
        assert found[key].dtype == array.dtype, key
        np.testing.assert_array_equal(found[key], array, err_msg=key)


ID_COLUMNS: dict[str, tuple[pa.DataType, SearchStrategy[Any]]] = {
    "int64": (pa.int64(), ids),
    "uint16": (pa.uint16(), ids),
    "bool": (pa.bool_(), st.booleans()),
    "string": (pa.string(), text_of(ids)),
    "large_string": (pa.large_string(), text_of(ids)),
    "string_view": (pa.string_view(), text_of(ids)),
    "binary": (pa.binary(), text_of(ids)),
    "dictionary": (pa.dictionary(pa.int8(), pa.string()), text_of(ids)),
    "dictionary of ints": (pa.dictionary(pa.int32(), pa.int64()), ids),
    "null": (pa.null(), st.none()),
    "list": (pa.list_(pa.int64()), lists(maybe(ids))),
    "list<int32>": (pa.list_(pa.int32()), lists(maybe(ids))),
    "large_list": (pa.large_list(pa.int64()), lists(maybe(ids))),
    "list_view": (pa.list_view(pa.int64()), lists(maybe(ids))),
    "fixed_size_list": (pa.list_(pa.int64(), 2), st.lists(maybe(ids), min_size=2, max_size=2)),
    "list<string>": (pa.list_(pa.string()), lists(maybe(st.one_of(st.just(""), ids.map(str))))),
}


@pytest.mark.parametrize("name", ID_COLUMNS)
@given(data=st.data(), default=st.sampled_from(["", "7", "7\x038"]))
def test_ids(name: str, data: st.DataObject, default: str) -> None:
    kind, cells = ID_COLUMNS[name]
    drawn, column = data.draw(columns(cells, kind))
    escaped = default.replace("\x03", "\\003")
    feature = f'id_feature {{ feature_name: "f" num_buckets: {BUCKETS} fg_encoded_default_value: "{escaped}" }}'
    check(feature, column, slow.as_arrays(slow.sparse(drawn, default)))


pairs = st.one_of(ids.map(str), st.builds(lambda key, weight: f"{key}:{weight}", ids, floats))

WEIGHTED_COLUMNS: dict[str, tuple[pa.DataType, SearchStrategy[Any]]] = {
    "map": (pa.map_(pa.int64(), pa.float32()), lists(st.tuples(ids, maybe(floats)))),
    "map<int32, double>": (pa.map_(pa.int32(), pa.float64()), lists(st.tuples(ids, floats))),
    "string": (pa.string(), text_of(pairs)),
    "list<string>": (pa.list_(pa.string()), lists(pairs)),
    "int64": (pa.int64(), ids),
    "list<int64>": (pa.list_(pa.int64()), lists(ids)),
}


@pytest.mark.parametrize("name", WEIGHTED_COLUMNS)
@given(data=st.data(), default=st.sampled_from(["", "7", "7:0.5\x038"]))
def test_weighted_ids(name: str, data: st.DataObject, default: str) -> None:
    kind, cells = WEIGHTED_COLUMNS[name]
    drawn, column = data.draw(columns(cells, kind))
    escaped = default.replace("\x03", "\\003")
    check(
        f"""id_feature {{
          feature_name: "f" num_buckets: {BUCKETS} weighted: true fg_encoded_default_value: "{escaped}"
        }}""",
        column,
        slow.as_arrays(slow.weighted(drawn, default)),
    )


def vectors(dim: int) -> SearchStrategy[Any]:
    return st.one_of(st.just([]), st.lists(floats, min_size=dim, max_size=dim))


def vector_text(dim: int, separator: str = slow.SEPARATOR) -> SearchStrategy[str]:
    return vectors(dim).map(lambda values: separator.join(map(str, values)))


DENSE_COLUMNS: dict[str, tuple[int, pa.DataType, SearchStrategy[Any]]] = {
    "float32": (1, pa.float32(), floats),
    "double": (1, pa.float64(), floats),
    "half": (1, pa.float16(), st.floats(width=16, allow_infinity=False, allow_nan=False).map(np.float16)),
    "int64": (1, pa.int64(), st.integers(-(2**24), 2**24)),
    "bool": (1, pa.bool_(), st.booleans()),
    "string": (1, pa.string(), st.one_of(st.just(""), floats.map(str))),
    "list": (1, pa.list_(pa.float64()), vectors(1)),
    "list of 3": (3, pa.list_(pa.float32()), vectors(3)),
    "large_list of 3": (3, pa.large_list(pa.float64()), vectors(3)),
    "fixed_size_list of 3": (3, pa.list_(pa.float32(), 3), st.lists(floats, min_size=3, max_size=3)),
    "list<int64> of 3": (3, pa.list_(pa.int64()), st.lists(st.integers(-99, 99), min_size=3, max_size=3)),
    "string of 3": (3, pa.string(), vector_text(3)),
    "dictionary of 3": (3, pa.dictionary(pa.int16(), pa.string()), vector_text(3)),
}


@pytest.mark.parametrize("name", DENSE_COLUMNS)
@given(data=st.data(), default=st.sampled_from(["", "1.5", "full"]))
def test_dense(name: str, data: st.DataObject, default: str) -> None:
    dim, kind, cells = DENSE_COLUMNS[name]
    drawn, column = data.draw(columns(cells, kind))
    default = slow.SEPARATOR.join(["0.25"] * dim) if default == "full" else default
    escaped = default.replace("\x03", "\\003")
    check(
        f'raw_feature {{ feature_name: "f" value_dim: {dim} fg_encoded_default_value: "{escaped}" }}',
        column,
        slow.as_arrays(slow.dense(drawn, default, dim), dim=dim),
    )


def test_not_a_number_of_the_data_stays_and_null_is_filled() -> None:
    parser = parser_of('raw_feature { feature_name: "f" fg_encoded_default_value: "2" }')
    for column in (pa.array([float("nan"), None, 1.0]), pa.array([[float("nan")], None, [1.0]])):
        np.testing.assert_array_equal(
            parser(pa.record_batch({"f": column}))["f.values"].numpy(), np.array([[np.nan], [2], [1]], np.float32)
        )


SEQUENCES: dict[str, tuple[pa.DataType, SearchStrategy[Any]]] = {
    "list": (pa.list_(pa.int64()), lists(maybe(ids))),
    "large_list": (pa.large_list(pa.int32()), lists(maybe(ids))),
    "nested": (pa.list_(pa.list_(pa.int64())), lists(maybe(lists(maybe(ids))))),
    "nested large": (pa.large_list(pa.large_list(pa.int64())), lists(maybe(lists(ids)))),
    "list<string>": (pa.list_(pa.string()), lists(maybe(text_of(ids)))),
    "string": (pa.string(), text_of(text_of(ids), slow.DELIMITER)),
    "dictionary": (pa.dictionary(pa.int8(), pa.string()), text_of(text_of(ids), slow.DELIMITER)),
    "int64": (pa.int64(), ids),
    "null": (pa.null(), st.none()),
}


@pytest.mark.parametrize("name", SEQUENCES)
@given(data=st.data(), default=st.sampled_from(["", "7", "7\x038"]), value_dim=st.sampled_from([0, 1]))
def test_sequences_of_ids(name: str, data: st.DataObject, default: str, value_dim: int) -> None:
    kind, cells = SEQUENCES[name]
    drawn, column = data.draw(columns(cells, kind))
    escaped = default.replace("\x03", "\\003")
    check(
        f"""sequence_id_feature {{
          feature_name: "f" num_buckets: {BUCKETS} sequence_length: 9 sequence_delim: ";" value_dim: {value_dim}
          fg_encoded_default_value: "{escaped}"
        }}""",
        column,
        slow.as_arrays(slow.sparse_sequence(drawn, default)),
    )


DENSE_SEQUENCES: dict[str, tuple[int, pa.DataType, SearchStrategy[Any]]] = {
    "list": (1, pa.list_(pa.float64()), lists(maybe(floats))),
    "list<int32>": (1, pa.list_(pa.int32()), lists(maybe(st.integers(-99, 99)))),
    "string": (1, pa.string(), text_of(floats, slow.DELIMITER)),
    "list<string>": (1, pa.list_(pa.string()), lists(maybe(floats.map(str)))),
    "nested of 2": (2, pa.list_(pa.list_(pa.float32())), lists(maybe(vectors(2)))),
    "nested large of 2": (2, pa.large_list(pa.large_list(pa.float64())), lists(vectors(2))),
    "list of fixed 2": (2, pa.list_(pa.list_(pa.float32(), 2)), lists(st.lists(floats, min_size=2, max_size=2))),
    "string of 2": (2, pa.string(), lists(vector_text(2)).map(slow.DELIMITER.join)),
    "list<string> of 2": (2, pa.list_(pa.string()), lists(vector_text(2))),
}


@pytest.mark.parametrize("name", DENSE_SEQUENCES)
@given(data=st.data(), default=st.sampled_from(["", "1.5", "full"]))
def test_sequences_of_vectors(name: str, data: st.DataObject, default: str) -> None:
    dim, kind, cells = DENSE_SEQUENCES[name]
    drawn, column = data.draw(columns(cells, kind))
    default = slow.SEPARATOR.join(["0.25"] * dim) if default == "full" else default
    escaped = default.replace("\x03", "\\003")
    check(
        f"""sequence_raw_feature {{
          feature_name: "f" sequence_length: 9 sequence_delim: ";" value_dim: {dim}
          fg_encoded_default_value: "{escaped}"
        }}""",
        column,
        slow.as_arrays(slow.dense_sequence(drawn, default, dim), dim=dim),
    )


def test_blanks_around_numbers_do_no_harm() -> None:
    for feature in (
        'id_feature { feature_name: "f" num_buckets: 9 }',
        'raw_feature { feature_name: "f" value_dim: 2 }',
    ):
        out = parser_of(feature)(pa.record_batch({"f": [" 3\x034 "]}))
        assert out["f.values"].flatten().tolist() == [3, 4]


def test_a_sequence_longer_than_its_length_is_taken_as_it_is() -> None:
    parser = parser_of('sequence_id_feature { feature_name: "f" num_buckets: 9 sequence_length: 2 }')
    assert parser(pa.record_batch({"f": pa.array([[1, 2, 3, 4]])}))["f.lengths"].tolist() == [4]


@pytest.mark.parametrize(
    "feature",
    [
        'id_feature { feature_name: "f" num_buckets: 9 }',
        'id_feature { feature_name: "f" num_buckets: 9 weighted: true }',
        'raw_feature { feature_name: "f" value_dim: 2 }',
        'sequence_id_feature { feature_name: "f" num_buckets: 9 sequence_length: 2 value_dim: 0 }',
        'sequence_raw_feature { feature_name: "f" sequence_length: 2 value_dim: 2 }',
    ],
)
def test_the_type_that_a_feature_asks_for_parses(feature: str) -> None:
    parser = parser_of(feature)
    (held,) = parser.features
    schema = pa.schema([("f", held.arrow_type)])  # type: ignore[attr-defined]
    assert parser.check_schema(schema) == []
    out = parser(pa.table({"f": pa.array([], held.arrow_type)}))  # type: ignore[attr-defined]
    assert all(len(tensor) == 0 for tensor in out.values())


def test_a_batch_may_be_written_to_without_touching_the_input() -> None:
    column = pa.array([1, 2, 3])
    out = parser_of('id_feature { feature_name: "f" num_buckets: 9 }')(pa.record_batch({"f": column}))
    out["f.values"].add_(5)
    assert column.to_pylist() == [1, 2, 3]
