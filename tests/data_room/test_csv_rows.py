"""Row borders against Arrow's own parser, which splits rows by itself, and against Python's csv module."""

from __future__ import annotations

import csv
import io

import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recinfer.data.readers import csv_rows
from recinfer.data.readers.csv_rows import row_blocks
from recinfer.data.readers.csv_units import cut_ranges
from recinfer.errors import BadRowError, InputError

CELL = st.text(st.sampled_from('ab,"\n\r x'), max_size=6)
ROWS = st.lists(st.lists(CELL, min_size=2, max_size=2), min_size=1, max_size=12)


def chunked(text: bytes, size: int) -> list[bytes]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def rows_of(text: bytes, chunk: int, delimiter: str = ",") -> list[bytes]:
    blocks = list(row_blocks(chunked(text, chunk), delimiter, "t.csv"))
    assert b"".join(bytes(block.data[: block.used]) for block in blocks) == text
    return [bytes(block.text(row, row + 1)) for block in blocks for row in range(block.rows)]


def arrow_rows(text: bytes) -> list[tuple[str, ...]]:
    """What Arrow reads from the whole text at once."""
    names = ["a", "b"]
    table = pa_csv.read_csv(
        pa.BufferReader(text),
        read_options=pa_csv.ReadOptions(column_names=names, use_threads=False, block_size=len(text) + 1),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
    )
    return list(zip(*(table[name].to_pylist() for name in names), strict=True))


@settings(max_examples=300, deadline=None)
@given(ROWS, st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(), st.integers(1, 40))
def test_written_rows_are_found_one_by_one(rows: list[list[str]], end: str, last_end: bool, chunk: int) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
    text = out.getvalue().encode() if last_end else out.getvalue().encode().removesuffix(end.encode())
    assert [arrow_rows(row)[0] for row in rows_of(text, chunk)] == [tuple(row) for row in rows]


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.sampled_from(['"a"b', 'a"b', '"a\nb"', '""', '"x""y"', ' "z"', "", "c", '"d,e"', '"""']),
        min_size=2,
        max_size=16,
    ),
    st.integers(1, 30),
)
def test_quotes_in_odd_places_split_as_arrow_splits(cells: list[str], chunk: int) -> None:
    pairs = list(zip(cells[::2], cells[1::2], strict=False))
    text = "\n".join(",".join(pair) for pair in pairs).encode() + b"\n"
    try:
        expected = arrow_rows(text)
    except pa.ArrowInvalid:
        return
    try:
        found = rows_of(text, chunk)
    except BadRowError:
        return
    assert [arrow_rows(row)[0] for row in found] == expected


def test_blank_lines_are_no_rows() -> None:
    assert rows_of(b"\n\r\n1,2\r\n\n\n3,4\n\r\n", 3) == [b"1,2\r\n", b"3,4\n"]


def test_last_row_needs_no_line_end() -> None:
    assert rows_of(b"1,2\n3,4", 5) == [b"1,2\n", b"3,4"]


@pytest.mark.parametrize("text", [b'1,"2\n3,4\n', b'a"b,c\n1,"2\n3,4\n'])
def test_an_unclosed_quote_names_its_row(text: bytes) -> None:
    with pytest.raises(BadRowError, match=rf"t.csv: row {1 + text.startswith(b'a')}: a quote is opened"):
        rows_of(text, 4)


def test_a_row_without_end_is_refused_before_memory_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "MAX_ROW_BYTES", 1000)
    with pytest.raises(InputError, match="row 2 is longer"):
        list(row_blocks([b"1,2\n", *[b'"' + b"x" * 99] * 30], ",", "t.csv"))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.integers(1, 30), max_size=60),
    st.integers(1, 9),
    st.integers(1, 20),
    st.integers(1, 100),
    st.integers(0, 5),
)
def test_ranges_cover_each_row_once(lengths: list[int], block: int, rows: int, size: int, first: int) -> None:
    import numpy as np

    ends = first + np.cumsum(np.array(lengths, np.int64))
    blocks = [ends[start : start + block] for start in range(0, len(ends), block)]
    ranges = list(cut_ranges(blocks, first, rows, size))
    assert sum(count for *_, count in ranges) == len(lengths)
    place, row = first, 0
    for start, length, count in ranges:
        assert start == place and count >= 1 and length == sum(lengths[row : row + count])
        assert count <= rows and (length <= size or count == 1)
        # No range could have taken the next row as well.
        if row + count < len(lengths):
            assert count == rows or length + lengths[row + count] > size
        place, row = place + length, row + count


def test_ranges_do_not_depend_on_the_blocks() -> None:
    import numpy as np

    ends = np.cumsum(np.arange(1, 100))
    whole = list(cut_ranges([ends], 0, 13, 200))
    assert all(list(cut_ranges(np.array_split(ends, parts), 0, 13, 200)) == whole for parts in (2, 7, 50))
