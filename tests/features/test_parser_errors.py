"""What the parser refuses, and how it says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recinfer.data.bad_rows import parse_good_rows
from recinfer.data.parser import Parser
from recinfer.errors import BadRowError, ConfigError, InputError
from tests.features.test_parser import parser_of

ID = 'id_feature { feature_name: "f" num_buckets: 9 }'
WEIGHTED = 'id_feature { feature_name: "f" num_buckets: 9 weighted: true }'
RAW = 'raw_feature { feature_name: "f" }'
VECTOR = 'raw_feature { feature_name: "f" value_dim: 2 }'
STEPS = 'sequence_id_feature { feature_name: "f" num_buckets: 9 sequence_length: 5 sequence_delim: ";" value_dim: 0 }'
VECTORS = 'sequence_raw_feature { feature_name: "f" sequence_length: 5 sequence_delim: ";" value_dim: 2 }'
MAP = pa.map_(pa.int64(), pa.float32())


@pytest.mark.parametrize(
    ("feature", "column", "row", "words"),
    [
        (ID, pa.array(["1", "2\x03x", "3"]), 1, ["'f'", "'x'", "whole number"]),
        (ID, pa.array(["1", "", "1.5"]), 2, ["'f'", "'1.5'", "whole number"]),
        (ID, pa.array([["1"], [], ["2", "99999999999999999999"]]), 2, ["'f'", "99999999999999999999", "64 bits"]),
        (ID, pa.array([1, None, 9]), 2, ["'f'", "id 9", "9 rows"]),
        (ID, pa.array([[1, 2], [], [8, -1]]), 2, ["'f'", "id -1", "9 rows"]),
        (ID, pa.array([2**64 - 1], pa.uint64()), 0, ["'f'", "18446744073709551615", "64 bits"]),
        (ID, pa.array([[3], [2**64 - 1]], pa.list_(pa.uint64())), 1, ["'f'", "18446744073709551615", "64 bits"]),
        (WEIGHTED, pa.array(["1:2", "x:1"]), 1, ["'f'", "'x'", "whole number"]),
        (WEIGHTED, pa.array(["1:2", "3", "1:1\x032:heavy"]), 2, ["'f'", "'heavy'", "a number"]),
        (WEIGHTED, pa.array([[(1, 1.0)], None, [(10, 1.0)]], MAP), 2, ["'f'", "id 10"]),
        (RAW, pa.array(["1", "one"]), 1, ["'f'", "'one'", "a number"]),
        (VECTOR, pa.array([[1.0, 2.0], [], [1.0]]), 2, ["'f'", "1 values", "value_dim is 2"]),
        (VECTOR, pa.array(["1\x032", "1\x032\x033"]), 1, ["'f'", "3 values", "value_dim is 2"]),
        (RAW, pa.array([[1.0], [1.0, 2.0]]), 1, ["'f'", "2 values", "value_dim is 1"]),
        (STEPS, pa.array(["1;2", "", "3;4\x03y"]), 2, ["'f'", "'y'", "whole number"]),
        (STEPS, pa.array([[[1], [2]], [], [[3], [1, 9]]]), 2, ["'f'", "id 9"]),
        (VECTORS, pa.array([[[1.0, 2.0]], [[1.0, 2.0], [1.0]]]), 1, ["'f'", "1 values", "value_dim is 2"]),
        (VECTORS, pa.array(["1\x032", "1\x032;z\x032"]), 1, ["'f'", "'z'", "a number"]),
    ],
)
def test_a_bad_value_is_named_with_its_row(feature: str, column: pa.Array, row: int, words: list[str]) -> None:
    parser = parser_of(feature)
    # Rows before the batch's own must not be counted: the same column as a slice of a longer one.
    for held in (column, pa.concat_arrays([column[:1], column])[1:]):
        with pytest.raises(BadRowError) as caught:
            parser(pa.record_batch({"f": held}))
        assert caught.value.row == row
        for word in words:
            assert word in caught.value.message


def test_bytes_that_are_no_text_are_named() -> None:
    column = pa.array([b"1", b"\xff"], pa.binary())
    batch = pa.record_batch({"f": column})
    with pytest.raises(BadRowError, match=r"'f' holds binary(.|\n)*UTF8"):
        parser_of(ID)(batch)
    assert [row.row for row in parse_good_rows(parser_of(ID), batch).bad] == [1]


@pytest.mark.parametrize(
    ("feature", "default", "wanted"),
    [
        (ID, "a", "a whole number"),
        (ID, "1\\0031.5", "a whole number"),
        (ID, "99999999999999999999", "a whole number"),
        (WEIGHTED, "1:heavy", "id:weight"),
        (RAW, "none", "a number"),
        (RAW, "1\\0032", "one number or 1"),
        (VECTOR, "1\\0032\\0033", "one number or 2"),
        (STEPS, "b", "a whole number"),
        (VECTORS, "1\\0032\\0033", "one number or 2"),
    ],
)
def test_a_default_that_is_none_is_an_error_of_the_config(feature: str, default: str, wanted: str) -> None:
    parser = parser_of(feature.replace(" }", f' fg_encoded_default_value: "{default}" }}'))
    (held,) = parser.features
    # Also where no row needs it: otherwise it would wait for the first empty row of a long run.
    with pytest.raises(ConfigError, match=f"'f': fg_encoded_default_value .* is not {wanted}"):
        parser(pa.table({"f": pa.array([], held.arrow_type)}))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("feature", "column", "words"),
    [
        (ID, pa.array([1.0, 2.0]), ["'f'", "double", "int64"]),
        (ID, pa.array([[1.0]]), ["'f'", "double", "int64"]),
        (STEPS, pa.array([[1.5]]), ["'f'", "double", "int64"]),
        (ID, pa.array([[[1]]]), ["'f'", "list", "no sequence"]),
        (ID, pa.array([[(1, 1.0)]], MAP), ["'f'", "map", "weighted"]),
        (RAW, pa.array([{"a": 1}]), ["'f'", "struct"]),
        (RAW, pa.array([0], pa.timestamp("s")), ["'f'", "timestamp"]),
        (STEPS, pa.array([[[[1]]]]), ["'f'", "three deep"]),
    ],
)
def test_a_type_that_never_fits_is_told_from_the_schema_alone(feature: str, column: pa.Array, words: list[str]) -> None:
    parser = parser_of(feature)
    (problem,) = parser.check_schema(pa.schema([("f", column.type)]))
    assert isinstance(problem, InputError)
    for word in words:
        assert word in str(problem)
    with pytest.raises(InputError):
        parser(pa.record_batch({"f": column}))


def test_a_missing_column_comes_with_the_nearest_name() -> None:
    parser = parser_of('id_feature { feature_name: "movie_id" num_buckets: 9 }')
    with pytest.raises(InputError, match=r"no column 'movie_id'(.|\n)*did you mean 'movie_ids'"):
        parser(pa.record_batch({"movie_ids": [1], "user": [2]}))
    with pytest.raises(InputError, match=r"no column 'movie_id'(.|\n)*the input has: a, b"):
        parser(pa.record_batch({"a": [1], "b": [2]}))
    (problem,) = parser.check_schema(pa.schema([("movieid", pa.int64())]))
    assert "did you mean 'movieid'" in str(problem)


def test_a_column_that_comes_twice_is_not_called_missing() -> None:
    parser = parser_of(ID)
    batch = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2])], names=["f", "f"])
    with pytest.raises(InputError, match=r"2 columns called 'f'(.|\n)*all but one"):
        parser(batch)
    (problem,) = parser.check_schema(batch.schema)
    assert "2 columns called 'f'" in str(problem)


def test_a_model_takes_one_id_per_step_where_value_dim_is_1() -> None:
    feature = 'sequence_id_feature { feature_name: "f" num_buckets: 9 sequence_length: 5 sequence_delim: ";" }'
    features = parser_of(feature).features
    batch = pa.record_batch({"f": ["1;2", "", "3;4\x035", "6"]})
    assert Parser(features)(batch)["f.key_lengths"].tolist() == [1, 1, 1, 2, 1]
    with pytest.raises(BadRowError, match="'f': a step holds 2 ids") as caught:
        Parser(features, for_model=True)(batch)
    assert caught.value.row == 2
    assert Parser(features, for_model=True)(batch[:2])["f.lengths"].tolist() == [2, 0]


def two_columns() -> Parser:
    parser = parser_of('id_feature { feature_name: "f" num_buckets: 9 }')
    other = parser_of('raw_feature { feature_name: "g" value_dim: 2 }')
    third = parser_of('sequence_id_feature { feature_name: "h" num_buckets: 9 sequence_length: 5 sequence_delim: ";" }')
    return Parser([*parser.features, *other.features, *third.features], for_model=True)


GOOD = (
    st.sampled_from(["1", "2\x033", "", None]),
    st.sampled_from(["1\x032", None]),
    st.sampled_from(["", "1;2", "5"]),
)
BAD = (st.sampled_from(["x", "9", "-1"]), st.sampled_from(["1", "a\x032"]), st.sampled_from(["1;y", "2\x033", "77"]))


@given(data=st.data(), rows=st.lists(st.tuples(*[st.booleans()] * 3, st.booleans()), max_size=12))
def test_exactly_the_bad_rows_are_put_aside(data: st.DataObject, rows: list[tuple[bool, ...]]) -> None:
    # The last flag makes good rows common: a row is bad where it and one of its cells say so.
    marks = [[cell and bad for cell in cells] for *cells, bad in rows]
    cells = [[data.draw((BAD if bad else GOOD)[place]) for place, bad in enumerate(row)] for row in marks]
    batch = pa.record_batch(
        [pa.array([row[place] for row in cells], pa.string()) for place in range(3)], names=["f", "g", "h"]
    )
    bad = [number for number, row in enumerate(marks) if any(row)]
    good = [number for number in range(len(rows)) if number not in bad]

    parsed = parse_good_rows(two_columns(), batch)

    assert [row.row for row in parsed.bad] == bad
    for row in parsed.bad:
        first = "fgh"[marks[row.row].index(True)]
        assert f"column {first!r}" in row.reason
    if bad:
        assert parsed.kept is not None and parsed.kept.tolist() == good
    else:
        assert parsed.kept is None
    expected = two_columns()(batch.take(pa.array(good, pa.int64())))
    assert parsed.tensors.keys() == expected.keys()
    for key, tensor in expected.items():
        np.testing.assert_array_equal(parsed.tensors[key].numpy(), tensor.numpy())


class FailsWithoutRow:
    """A column whose errors do not say which row they mean."""

    name = "f"

    def parse(self, column: pa.Array) -> dict[str, np.ndarray]:
        if 13 in column.to_pylist():
            raise BadRowError("13 is unlucky")
        return {"f.values": column.to_numpy().reshape(-1, 1)}

    def check_type(self, kind: pa.DataType) -> None:
        del kind

    def check_steps(self, arrays: dict[str, Any]) -> None:
        del arrays


def test_rows_are_searched_where_an_error_does_not_name_one() -> None:
    parsed = parse_good_rows(Parser([FailsWithoutRow()]), pa.record_batch({"f": [1, 13, 2, 13]}))
    assert [(row.row, row.reason) for row in parsed.bad] == [(1, "13 is unlucky"), (3, "13 is unlucky")]
    assert parsed.tensors["f.values"].flatten().tolist() == [1, 2]


def test_many_bad_rows_do_not_take_a_parse_of_all_rows_each() -> None:
    read: list[int] = []

    class Counting(FailsWithoutRow):
        def parse(self, column: pa.Array) -> dict[str, np.ndarray]:
            read.append(len(column))
            return super().parse(column)

    rows = 1024
    parsed = parse_good_rows(Parser([Counting()]), pa.record_batch({"f": [13] * rows}))
    assert len(parsed.bad) == rows and parsed.tensors["f.values"].shape == (0, 1)
    # Each level of halving reads all rows once: ten levels below the whole.
    assert sum(read) <= rows * 13
